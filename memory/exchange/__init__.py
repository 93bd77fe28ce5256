"""Exchange with others: Agent Skills out and in, Voyager's library in.

    export_skills(skills, ["have_stick"], "to-share")
    intake = take_in(home.journal, read_exchange("shared"))

What comes in is untrusted: it is read and never run, no path leaves its folder, and skills are quarantined until they
are verified here.
"""

from habilis.memory.exchange.agent_skills import export_skills, folder_name, read_agent_skills
from habilis.memory.exchange.found import Document, Found, Refused, Stated
from habilis.memory.exchange.taking_in import Intake, TakenIn, documents, read_exchange, take_in
from habilis.memory.exchange.voyager import read_voyager

__all__ = [
    "Document",
    "Found",
    "Intake",
    "Refused",
    "Stated",
    "TakenIn",
    "documents",
    "export_skills",
    "folder_name",
    "read_agent_skills",
    "read_exchange",
    "read_voyager",
    "take_in",
]
