"""Finding skills by meaning and by words."""

from __future__ import annotations

from habilis.core import Skill


def skill_text(skill: Skill) -> str:
    """What is embedded of a skill: its name in words, what it does, its goal."""
    return f"{skill.name.replace('_', ' ')}: {skill.doc}\n{skill.goal_template}"


def skill_texts(skill: Skill) -> dict[str, str]:
    """What is embedded of a version, by the id of the vector."""
    return {f"{skill.name}@{skill.version}": skill_text(skill)}
