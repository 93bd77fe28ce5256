"""What our houses are made of: rooms, their furniture, and where things are usually kept. Our own data.

``at``: where a class of thing may lie, as (weight, how, class of furniture). The first count of a thing or a piece of
furniture is in every house (*usual*), what goes beyond it is drawn; a class with the count (0, n) is in some houses.
"""

from __future__ import annotations

from typing import NamedTuple


class Furniture(NamedTuple):
    kind: str
    low: int = 1
    high: int = 1


class Item(NamedTuple):
    kind: str
    low: int
    high: int
    at: tuple[tuple[int, str, str], ...]


ROOMS: dict[str, tuple[int, int]] = {  # how many of each
    "kitchen": (1, 1),
    "bathroom": (1, 2),
    "bedroom": (1, 3),
    "living_room": (1, 1),
    "dining_room": (0, 1),
    "home_office": (0, 1),
}
_LAMPS = (Furniture("light"), Furniture("floor_lamp", 0, 1))
FURNITURE: dict[str, tuple[Furniture, ...]] = {
    "kitchen": (
        *(Furniture(k) for k in ("fridge", "stove", "oven", "microwave", "dishwasher", "sink", "faucet")),
        *(Furniture(k) for k in ("garbage_can", "toaster", "coffe_maker", "table", "light")),
        Furniture("cupboard", 1, 3),
        Furniture("kitchen_cabinet", 1, 4),
        Furniture("kitchen_counter", 1, 3),
        Furniture("chair", 2, 4),
        Furniture("freezer", 0, 1),
        Furniture("dishrack", 0, 1),
        Furniture("window", 0, 2),
    ),
    "bathroom": (
        *(Furniture(k) for k in ("toilet", "bathroom_cabinet", "bathroom_counter", "washing_machine", "light")),
        Furniture("mirror"),
        *(Furniture(k, 0, 1) for k in ("bathtub", "towel_rack", "mat", "trashcan")),
    ),
    "bedroom": (
        *(Furniture(k) for k in ("bed", "closet", "dresser", "light")),
        Furniture("nightstand", 1, 2),
        Furniture("chair", 0, 1),
        Furniture("window", 0, 2),
        Furniture("filing_cabinet", 0, 1),
    ),
    "living_room": (
        *(Furniture(k) for k in ("sofa", "television", "coffee_table", "bookshelf", "computer", "desk", "light")),
        Furniture("cabinet", 1, 2),
        Furniture("chair", 1, 2),
        Furniture("love_seat", 0, 1),
        Furniture("stereo", 0, 1),
        Furniture("floor_lamp", 0, 2),
        Furniture("window", 0, 3),
    ),
    "dining_room": (Furniture("table"), Furniture("chair", 2, 6), Furniture("cabinet", 0, 2), *_LAMPS),
    "home_office": (
        *(Furniture(k) for k in ("desk", "filing_cabinet", "chair")),
        Furniture("bookshelf", 0, 2),
        *_LAMPS,
    ),
}  # fmt: skip
TOGETHER = {  # what stands beside what, so that both are close at once
    "chair": ("table", "desk"),
    "faucet": ("sink", "kitchen_counter"),
    "sink": ("kitchen_counter",),
    "nightstand": ("bed",),
    "coffee_table": ("sofa",),
    "computer": ("desk",),
    "mirror": ("bathroom_counter",),
    "toaster": ("kitchen_counter",),
    "coffe_maker": ("kitchen_counter",),
    "microwave": ("kitchen_counter",),
}
_DISHES = ((4, "in", "cupboard"), (3, "in", "kitchen_cabinet"), (2, "on", "table"), (1, "in", "dishwasher"))
_COLD = ((6, "in", "fridge"), (1, "on", "kitchen_counter"), (1, "on", "table"))
_DRY = ((4, "in", "kitchen_cabinet"), (2, "in", "cupboard"), (2, "on", "kitchen_counter"))
_CLOTHES = ((4, "in", "closet"), (3, "in", "dresser"), (1, "on", "bed"), (1, "in", "washing_machine"))
_PAPER = ((4, "on", "bookshelf"), (2, "on", "coffee_table"), (2, "on", "desk"), (1, "on", "nightstand"))
_WASHING = ((4, "in", "bathroom_cabinet"), (3, "on", "bathroom_counter"))
_DESK = ((4, "on", "desk"), (2, "in", "dresser"), (1, "on", "coffee_table"))
ITEMS: tuple[Item, ...] = (
    Item("plate", 2, 6, _DISHES),
    Item("bowl", 1, 4, _DISHES),
    Item("cup", 1, 4, _DISHES),
    Item("mug", 1, 3, _DISHES),
    Item("water_glass", 1, 4, _DISHES),
    Item("wine_glass", 0, 3, _DISHES),
    Item("fork", 1, 4, ((4, "in", "kitchen_cabinet"), (1, "on", "table"), (1, "in", "dishwasher"))),
    Item("spoon", 1, 4, ((4, "in", "kitchen_cabinet"), (1, "on", "table"), (1, "in", "dishwasher"))),
    Item("knife", 1, 3, ((3, "in", "kitchen_cabinet"), (2, "on", "kitchen_counter"), (1, "on", "table"))),
    Item("cutting_board", 1, 1, ((3, "on", "kitchen_counter"), (1, "in", "cupboard"))),
    Item("fryingpan", 1, 2, ((2, "on", "stove"), (2, "in", "kitchen_cabinet"))),
    Item("cookingpot", 1, 2, ((2, "on", "stove"), (2, "in", "kitchen_cabinet"))),
    Item("kettle", 1, 1, ((3, "on", "kitchen_counter"), (1, "on", "stove"))),
    Item("sponge", 1, 2, ((3, "on", "kitchen_counter"), (1, "on", "bathroom_counter"))),
    Item("rag", 1, 2, ((2, "on", "kitchen_counter"), (2, "in", "kitchen_cabinet"))),
    Item("dish_soap", 1, 1, ((3, "on", "kitchen_counter"), (1, "in", "kitchen_cabinet"))),
    Item("food_apple", 1, 4, _COLD),
    Item("food_banana", 0, 4, _COLD),
    Item("food_orange", 1, 3, _COLD),
    Item("food_bread", 1, 2, _DRY),
    Item("food_butter", 1, 1, _COLD),
    Item("food_cheese", 1, 2, _COLD),
    Item("food_egg", 1, 4, _COLD),
    Item("food_carrot", 1, 3, _COLD),
    Item("food_chicken", 0, 2, _COLD),
    Item("food_cake", 0, 1, _COLD),
    Item("food_cereal", 1, 1, _DRY),
    Item("food_rice", 0, 1, _DRY),
    Item("food_salt", 0, 1, _DRY),
    Item("milk", 1, 2, _COLD),
    Item("juice", 1, 2, _COLD),
    Item("wine", 0, 2, _DRY),
    Item("coffee", 1, 1, _DRY),
    Item("tea", 0, 1, _DRY),
    Item("groceries", 0, 2, ((3, "on", "kitchen_counter"), (2, "on", "table"))),
    Item("towel", 1, 4, (*_WASHING, (1, "in", "closet"))),
    Item("soap", 1, 2, _WASHING),
    Item("shampoo", 1, 1, _WASHING),
    Item("tooth_paste", 1, 1, _WASHING),
    Item("toothbrush", 1, 2, _WASHING),
    Item("razor", 0, 1, _WASHING),
    Item("hairbrush", 1, 1, (*_WASHING, (1, "on", "nightstand"))),
    Item("toilet_paper", 1, 3, _WASHING),
    Item("detergent", 1, 1, _WASHING),
    Item("clothes_shirt", 1, 4, _CLOTHES),
    Item("clothes_pants", 1, 3, _CLOTHES),
    Item("clothes_jacket", 1, 2, _CLOTHES),
    Item("clothes_hat", 1, 2, _CLOTHES),
    Item("clothes_socks", 1, 3, _CLOTHES),
    Item("clothes_dress", 0, 2, _CLOTHES),
    Item("pajamas", 1, 2, _CLOTHES),
    Item("pillow", 1, 4, ((4, "on", "bed"), (2, "on", "sofa"))),
    Item("blanket", 1, 2, ((3, "on", "bed"), (1, "in", "closet"), (1, "on", "sofa"))),
    Item("book", 1, 6, _PAPER),
    Item("novel", 1, 3, _PAPER),
    Item("magazine", 1, 3, _PAPER),
    Item("newspaper", 1, 2, _PAPER),
    Item("notebook", 0, 2, _DESK),
    Item("pen", 1, 3, _DESK),
    Item("pencil", 0, 3, _DESK),
    Item("mail", 0, 2, _DESK),
    Item("remote_control", 1, 1, ((3, "on", "coffee_table"), (2, "on", "sofa"), (1, "in", "cabinet"))),
    Item("cellphone", 1, 1, ((2, "on", "nightstand"), (2, "on", "coffee_table"), (1, "on", "desk"))),
    Item("keyboard", 1, 1, ((1, "on", "desk"),)),
    Item("mouse", 1, 1, ((1, "on", "desk"),)),
    Item("alarm_clock", 1, 1, ((3, "on", "nightstand"), (1, "on", "bookshelf"))),
    Item("cd", 0, 4, ((2, "in", "cabinet"), (1, "on", "coffee_table"))),
    Item("board_game", 0, 2, ((2, "in", "cabinet"), (1, "on", "bookshelf"))),
    Item("purse", 0, 1, ((2, "in", "closet"), (1, "on", "bed"))),
    Item("keys", 1, 1, ((2, "on", "coffee_table"), (1, "on", "table"), (1, "in", "dresser"))),
    Item("spectacles", 0, 1, ((2, "on", "nightstand"), (1, "on", "desk"), (1, "on", "bathroom_counter"))),
    Item("toy", 0, 4, ((2, "in", "closet"), (2, "on", "bed"), (1, "on", "sofa"))),
    Item("candle", 0, 2, ((2, "on", "table"), (1, "on", "coffee_table"))),
)
WASHED = frozenset({"plate", "bowl", "cup", "mug", "water_glass", "wine_glass", "fork", "spoon", "knife"})
WORN_DIRTY = 0.3  # the share of dishes and clothes that are dirty at first
LEFT_OPEN, LEFT_ON, LEFT_UNPLUGGED = 0.1, 0.15, 0.15  # the shares of furniture that are
