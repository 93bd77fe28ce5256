"""Goals that people have a name for: our own list, over things that every house has under the same name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from habilis.core import Goal

_CHORES: Mapping[str, str] = {
    "set the table": 'on_top("plate_1", "table_1") and on_top("fork_1", "table_1")',
    "lay the table for soup": 'on_top("bowl_1", "table_1") and on_top("spoon_1", "table_1")',
    "serve drinks": 'on_top("juice_1", "coffee_table_1") and on_top("water_glass_1", "coffee_table_1")',
    "put the milk away": 'inside("milk_1", "fridge_1") and is_closed("fridge_1")',
    "put the food away": 'inside("apple_1", "fridge_1") and inside("cheese_1", "fridge_1")',
    "prepare breakfast": 'on_top("cereal_1", "table_1") and on_top("milk_1", "table_1")',
    "get everything for a sandwich": 'on_top("bread_1", "cutting_board_1") and on_top("cheese_1", "kitchen_counter_1")',
    "make toast": 'inside("bread_1", "toaster_1") and is_on("toaster_1")',
    "make coffee": 'inside("coffee_1", "coffe_maker_1") and is_on("coffe_maker_1")',
    "boil water": 'on_top("kettle_1", "stove_1") and is_on("stove_1")',
    "fry something": 'on_top("fryingpan_1", "stove_1") and is_on("stove_1")',
    "warm up the milk": 'inside("milk_1", "microwave_1") and is_on("microwave_1")',
    "bake something": 'inside("bread_1", "oven_1") and is_on("oven_1")',
    "peel a carrot": 'on_top("carrot_1", "cutting_board_1") and done("cut", "carrot_1")',
    "make a fruit salad": 'done("cut", "apple_1") and done("cut", "orange_1")',
    "have a snack": 'done("eat", "apple_1")',
    "have a drink": 'done("drink", "juice_1")',
    "run the dishwasher": 'inside("plate_1", "dishwasher_1") and is_on("dishwasher_1")',
    "load the dishwasher": 'inside("cup_1", "dishwasher_1") and inside("mug_1", "dishwasher_1")',
    "do the dishes by hand": 'inside("plate_1", "sink_1") and is_on("faucet_1")',
    "do the laundry": 'inside("shirt_1", "washing_machine_1") and is_on("washing_machine_1")',
    "wash the towels": 'inside("towel_1", "washing_machine_1") and inside("detergent_1", "washing_machine_1")',
    "put the clothes away": 'inside("shirt_1", "closet_1") and inside("pants_1", "closet_1")',
    "make the bed": 'on_top("pillow_1", "bed_1") and on_top("blanket_1", "bed_1")',
    "go to bed": 'wearing("pajamas_1") and lying_on("bed_1")',
    "dress to go out": 'wearing("jacket_1") and wearing("hat_1")',
    "get dressed": 'wearing("shirt_1") and wearing("pants_1")',
    "get ready for a shower": 'holding("towel_1") and holding("shampoo_1")',
    "brush your teeth": 'holding("toothbrush_1") and holding("tooth_paste_1")',
    "do your hair": 'holding("hairbrush_1")',
    "watch television": 'is_on("television_1") and sitting_on("sofa_1")',
    "spend the evening with a novel": 'holding("novel_1") and sitting_on("sofa_1")',
    "read in bed": 'holding("book_1") and lying_on("bed_1")',
    "read the news": 'done("read", "newspaper_1")',
    "work at the computer": 'is_on("computer_1") and on_top("keyboard_1", "desk_1")',
    "write a letter": 'on_top("pen_1", "desk_1") and on_top("magazine_1", "desk_1")',
    "tidy the magazines": 'on_top("magazine_1", "bookshelf_1") and on_top("newspaper_1", "bookshelf_1")',
    "throw the old paper away": 'inside("newspaper_1", "garbage_can_1")',
    "set the alarm": 'on_top("alarm_clock_1", "nightstand_1") and plugged_in("alarm_clock_1")',
    "phone somebody": 'holding("cellphone_1") and sitting_on("sofa_1")',
    "leave the house": 'holding("keys_1") and wearing("jacket_1")',
    "get ready to clean the kitchen": 'holding("rag_1") and in_reach("dish_soap_1")',
    "save power": 'unplugged("toaster_1") and unplugged("microwave_1")',
    "put new paper in the bathroom": 'inside("toilet_paper_1", "bathroom_cabinet_1")',
}


@lru_cache(maxsize=1)
def chores() -> Mapping[str, Goal]:
    """The chores by name, each with what is so once it is done."""
    return {words: Goal.parse(goal) for words, goal in _CHORES.items()}
