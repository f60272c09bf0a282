"""Product names, and the chunk of each name.

Plain Python computes the chunk once per name when the plan is read; lines only look it up. So the truth
shares no code and no engine with the transforms that it tests.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

OTHER = "other"

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

NAMES_PER_LETTER = 6

_LETTER_NAMES: tuple[tuple[str, ...], ...] = (
    ("Apples", "Avocado", "Almond Milk", "Asparagus", "Arborio Rice", "anchovies"),
    ("Bananas", "Bagels", "Butter", "Basil", "Black Beans", "beer"),
    ("Carrots", "Cheddar", "Coffee", "Cereal", "Cocoa", "cola"),
    ("Dates", "Dish Soap", "Donuts", "Dill", "Dog Food", "dumplings"),
    ("Eggs", "Espresso", "Eggplant", "Endive", "Earl Grey", "envelopes"),
    ("Flour", "Figs", "Feta", "Frozen Peas", "Foil", "fudge"),
    ("Grapes", "Garlic", "Ginger", "Granola", "Gouda", "gum"),
    ("Honey", "Hummus", "Ham", "Hot Dogs", "Hazelnuts", "herbs"),
    ("Ice Cream", "Iced Tea", "Icing Sugar", "Instant Noodles", "Italian Bread", "ibuprofen"),
    ("Jam", "Juice", "Jerky", "Jelly Beans", "Jasmine Rice", "jalapenos"),
    ("Kale", "Ketchup", "Kiwi", "Kefir", "Kidney Beans", "kimchi"),
    ("Lemons", "Lettuce", "Lentils", "Lamb", "Lasagna", "limes"),
    ("Milk", "Mushrooms", "Mustard", "Mango", "Maple Syrup", "muffins"),
    ("Nutmeg", "Noodles", "Nachos", "Napkins", "Nectarines", "nuts"),
    ("Oranges", "Oats", "Olive Oil", "Onions", "Oregano", "okra"),
    ("Pasta", "Peanut Butter", "Pears", "Pizza", "Potatoes", "popcorn"),
    ("Quinoa", "Quiche", "Quesadilla", "Quince", "Queso", "quark"),
    ("Rice", "Raisins", "Radish", "Ravioli", "Rye Bread", "rosemary"),
    ("Salmon", "Spinach", "Sugar", "Salsa", "Strawberries", "soap"),
    ("Tomatoes", "Tea", "Tuna", "Tofu", "Tortillas", "thyme"),
    ("Udon", "Umeboshi", "Ugli Fruit", "Unsalted Butter", "Utility Knife", "unagi"),
    ("Vanilla", "Vinegar", "Veal", "Vermouth", "Venison", "vodka"),
    ("Walnuts", "Watermelon", "Waffles", "Wine", "Wasabi", "wraps"),
    ("Xanthan Gum", "Xacuti Paste", "Ximenia Oil", "Xigua", "XO Sauce", "xylitol"),
    ("Yogurt", "Yams", "Yeast", "Yuzu", "Yellow Corn", "yerba mate"),
    ("Zucchini", "Ziti", "Zest", "Zinc Tablets", "Za'atar", "zwieback"),
)

# Names whose first letter has an accent or is another form of a Latin letter: they belong to that letter.
_ACCENTED_NAMES: tuple[str, ...] = (
    "Éclair",
    "ábaco",
    "Übermüsli",
    "ñoquis",
    "Çilbir",
    "İncir",
    "Žito",
    "šunka",
    "Ôtoro",
    "E\u0301pices",  # the mark as a character of its own
    "z\u030cele",
    "\uff32amen",  # a full-width R
    "\ufb01g rolls",  # fi as one ligature
)

# Names that are empty, or whose first character is not and does not decompose to a Latin letter.
_OTHER_NAMES: tuple[str, ...] = (
    "",
    "7 Up",
    "3 Musketeers",
    "100% Rye",
    "#10 Bags",
    "-18 Ice Cubes",
    '"Old" Cheese, aged',
    "Молоко",
    "Ελιές",
    "牛乳",
    "חלב",
    "Ørredfilet",
    "Æblegrød",
)

SIZES: tuple[str, ...] = ("", " 250 g", " 500 g", " 1 kg", " 6 pack", " 12 oz", " large", " organic")

QUOTED_SIZES: tuple[str, ...] = (', "large"', ", 2 x 250 g", ' 12" wide', ', "no, really"', ' ""', ",")

CATEGORIES: tuple[str, ...] = ("Grocery", "Produce", "Dairy", "Bakery", "Household", "")


@dataclass(frozen=True)
class ChunkRange:
    """An inclusive range of name prefixes.

    Attributes:
        label: the range as written, and the name of its chunk.
        first: lowest prefix, upper case.
        last: highest prefix, upper case; every key that starts with it is in the range.
    """

    label: str
    first: str
    last: str

    def holds(self, key: str) -> bool:
        """Whether a name with this key is in the range."""
        return key >= self.first and key[: len(self.last)] <= self.last


def read_range(text: str) -> ChunkRange:
    """Read a range such as ``A-G``.

    Raises:
        ValueError: the text is not two prefixes of capital letters in order.
    """
    match = re.fullmatch(r"([A-Z]+)-([A-Z]+)", text)
    if match is None or match[1] > match[2]:
        raise ValueError(f"{text!r} is not a range of capital letters in order, as 'A-G'")
    return ChunkRange(text, match[1], match[2])


def chunk_key(name: str) -> str:
    """The key of a name: trimmed, decomposed (NFKD), without accents, upper case."""
    decomposed = unicodedata.normalize("NFKD", name.strip())
    bare = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return bare.upper()


def chunk_of(name: str, ranges: tuple[ChunkRange, ...]) -> str:
    """The label of the range that holds ``name``, else ``other``."""
    key = chunk_key(name)
    return next((chunk.label for chunk in ranges if chunk.holds(key)), OTHER)


@dataclass(frozen=True)
class Catalogue:
    """Every product name of a plan: first six per letter, then the accented names, then the others.

    Attributes:
        names: the names.
        chunks: the chunk of each name.
    """

    names: tuple[str, ...]
    chunks: tuple[str, ...]

    accented_start: int = len(LETTERS) * NAMES_PER_LETTER
    accented_count: int = len(_ACCENTED_NAMES)
    other_start: int = accented_start + accented_count
    other_count: int = len(_OTHER_NAMES)

    @classmethod
    def of(cls, ranges: tuple[str, ...]) -> Catalogue:
        """All names, with their chunks by these ranges."""
        parsed = tuple(read_range(text) for text in ranges)
        plain = tuple(name for names in _LETTER_NAMES for name in names)
        names = plain + _ACCENTED_NAMES + _OTHER_NAMES
        return cls(names, tuple(chunk_of(name, parsed) for name in names))
