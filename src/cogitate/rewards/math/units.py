"""Units of measurement: their names, dimensions and sizes, so that 1 m is 100 cm and is not 1 cm."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of base units.

    Attributes:
        powers: (base, exponent) in alphabetical order, zero exponents left out.
        factor: how many of the base unit it is.
    """

    powers: tuple[tuple[str, int], ...]
    factor: Fraction = Fraction(1)

    def times(self, other: Unit, sign: int = 1) -> Unit:
        powers = dict(self.powers)
        for base, exponent in other.powers:
            powers[base] = powers.get(base, 0) + sign * exponent
        kept = tuple(sorted((base, exponent) for base, exponent in powers.items() if exponent))
        return Unit(kept, self.factor * other.factor**sign)

    def to_power(self, exponent: int) -> Unit:
        powers = tuple((base, power * exponent) for base, power in self.powers if exponent)
        return Unit(powers, self.factor**exponent)


def batched_pairs(text: str) -> list[tuple[str, str]]:
    """The words of a text, two by two."""
    words = text.split()
    return list(zip(words[::2], words[1::2], strict=True))


_TABLE: dict[str, str] = {
    "metre": """m 1 meter 1 metre 1 cm 1/100 centimeter 1/100 centimetre 1/100 mm 1/1000 millimeter 1/1000 millimetre 1/1000
        dm 1/10 km 1000 kilometer 1000 kilometre 1000 nm 1e-9 in 0.0254 inch 0.0254 inches 0.0254 ft 0.3048 foot 0.3048
        feet 0.3048 yd 0.9144 yard 0.9144 mi 1609.344 mile 1609.344 米 1 厘米 1/100 毫米 1/1000 分米 1/10 千米 1000
        公里 1000""",
    "gram": """g 1 gram 1 gramme 1 kg 1000 kilogram 1000 mg 1/1000 milligram 1/1000 t 1000000 tonne 1000000 lb 453.59237
        lbs 453.59237 pound 453.59237 oz 28.349523125 ounce 28.349523125 克 1 千克 1000 公斤 1000 吨 1000000""",
    "second": """s 1 sec 1 second 1 ms 1/1000 min 60 minute 60 h 3600 hr 3600 hour 3600 day 86400 week 604800 秒 1 分钟 60
        小时 3600 天 86400 周 604800""",
    "month": "month 1 year 12 yr 12 个月 1 年 12",
    "litre": "l 1 L 1 liter 1 litre 1 ml 1/1000 mL 1/1000 milliliter 1/1000 millilitre 1/1000 升 1 毫升 1/1000",
    "dollar": "dollar 1 usd 1 USD 1 buck 1 cent 1/100 美元 1 美分 1/100",
    "euro": "euro 1 EUR 1 欧元 1",
    "yuan": "yuan 1 元 1 角 1/10",
    "degree": "degree 1 deg 1 度 1",
    "radian": "rad 1 radian 1",
    "unit": "unit 1",
    "joule": "J 1 joule 1 kJ 1000",
    "newton": "newton 1 N 1",
    "volt": "volt 1 V 1",
    "ampere": "ampere 1 amp 1 A 1",
    "kelvin": "kelvin 1 K 1",
    "watt": "W 1 watt 1 kW 1000",
}  # name and size, in turn
_UNITS = {name: Unit(((base, 1),), Fraction(size)) for base, entries in _TABLE.items() for name, size in batched_pairs(entries)}
_COMPOUND = {"mph": ("mile", "hour"), "kph": ("km", "h"), "kmh": ("km", "h"), "mpg": ("mile", "gallon")}
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3, "平方": 2, "立方": 3}


def find_unit(name: str) -> Unit | None:
    """The unit of this name; plurals and other cases are understood."""
    for form in (name, name.casefold()):
        for candidate in (form, form[:-1] if len(form) > 2 and form.endswith("s") else form):
            if candidate in _UNITS:
                return _UNITS[candidate]
    if name.casefold() in _COMPOUND:
        above, below = _COMPOUND[name.casefold()]
        return plain_unit(above).times(plain_unit(below), -1)
    return None


def plain_unit(name: str) -> Unit:
    """A known unit, or a base unit of its own ("apples"), singular."""
    known = find_unit(name)
    if known is not None:
        return known
    folded = name.casefold()
    return Unit(((folded[:-1] if len(folded) > 3 and folded.endswith("s") else folded, 1),))


def power_word(name: str) -> int | None:
    """The exponent that "square" or "cubic" gives the unit beside it."""
    return _POWERS.get(name.casefold())
