"""What written English shortens: titles, months, units, currencies, and who carries a Roman number."""

from __future__ import annotations

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
SHORT_MONTHS = {
    **{name[:3]: name for name in MONTHS if name != "May"},
    "Sept": "September",
}
WEEKDAYS = {
    **{"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday"},
    **{"Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"},
}

BEFORE_NAMES = {
    **{"Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend"},
    **{"Hon": "Honorable", "Gen": "General", "Col": "Colonel", "Capt": "Captain", "Maj": "Major", "Cmdr": "Commander"},
    **{"Lt": "Lieutenant", "Sgt": "Sergeant", "Cpl": "Corporal", "Pvt": "Private", "Adm": "Admiral", "Gov": "Governor"},
    **{"Pres": "President", "Sen": "Senator", "Rep": "Representative", "Fr": "Father", "Mt": "Mount", "Ft": "Fort"},
    **{"Messrs": "Messieurs", "Supt": "Superintendent"},
}
"""Shortened with a period, before a capital letter."""
AFTER_NAMES = {
    **{"Jr": "Junior", "Sr": "Senior", "Esq": "Esquire", "Co": "Company", "Corp": "Corporation"},
    **{"Inc": "Incorporated", "Ltd": "Limited", "Bros": "Brothers", "Ave": "Avenue", "Blvd": "Boulevard"},
    **{"Rd": "Road", "Ln": "Lane", "Hwy": "Highway", "Dept": "Department", "Univ": "University"},
}
"""Shortened with a period, after a capitalised word; the period may end a sentence as well."""
ANYWHERE = {
    **{"etc": "et cetera", "vs": "versus", "approx": "approximately", "dept": "department", "est": "established"},
    **{"govt": "government", "misc": "miscellaneous", "tel": "telephone", "viz": "namely", "cf": "compare"},
}
BEFORE_NUMBERS = {
    **{"No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "p": "page", "pp": "pages"},
    **{"Vol": "volume", "vol": "volume", "Fig": "figure", "fig": "figure", "Figs": "figures", "figs": "figures"},
    **{"Ch": "chapter", "ch": "chapter", "Sec": "section", "sec": "section", "Eq": "equation", "eq": "equation"},
    **{"ca": "circa", "c": "circa", "Ext": "extension", "ext": "extension", "Art": "article", "Apt": "apartment"},
}
"""Shortened with a period, before a digit."""

UNITS = {
    **{"km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "mi": "mile"},
    **{"kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce", "yd": "yard"},
    **{"ft": "foot", "sq ft": "square foot", "sq mi": "square mile", "cu ft": "cubic foot"},
    **{"l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "gal": "gallon", "ha": "hectare"},
    **{"s": "second", "sec": "second", "secs": "second", "ms": "millisecond", "min": "minute", "mins": "minute"},
    **{"h": "hour", "hr": "hour", "hrs": "hour", "yr": "year", "yrs": "year"},
    **{"W": "watt", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour", "V": "volt"},
    **{"kV": "kilovolt", "mA": "milliampere", "J": "joule", "kJ": "kilojoule", "cal": "calorie", "kcal": "kilocalorie"},
    **{"KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte"},
    **{"dB": "decibel", "hp": "horsepower", "acre": "acre", "ac": "acre", "pt": "pint", "qt": "quart", "ton": "ton"},
}
"""In the singular; the plural has an s."""
UNCHANGING_UNITS = {
    **{"mph": "miles per hour", "kph": "kilometers per hour", "rpm": "revolutions per minute", "hp": "horsepower"},
    **{"psi": "pounds per square inch", "dpi": "dots per inch", "fps": "frames per second", "bpm": "beats per minute"},
    **{"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "ppm": "parts per million"},
    **{"kbps": "kilobits per second", "Mbps": "megabits per second", "Gbps": "gigabits per second"},
}
IRREGULAR_PLURALS = {"foot": "feet", "square foot": "square feet", "cubic foot": "cubic feet"}

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
"""One, several, one hundredth, several hundredths."""
MAGNITUDES = {
    **{"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "bn": "billion"},
    **{"b": "billion", "B": "billion", "tn": "trillion", "T": "trillion"},
}
"""After an amount of money."""

REGNAL_NAMES = (
    *("Alexander", "Alfonso", "Benedict", "Catherine", "Charles", "Christian", "Clement", "Constantine", "Edward"),
    *("Elizabeth", "Ferdinand", "Francis", "Frederick", "George", "Gregory", "Gustav", "Henry", "Innocent", "Ivan"),
    *("James", "Juan Carlos", "John Paul", "Leo", "Leopold", "Louis", "Ludwig", "Maximilian", "Napoleon", "Nicholas"),
    *("Otto", "Paul", "Philip", "Pius", "Ptolemy", "Ramses", "Richard", "Rudolf", "Thutmose", "Urban", "Victor"),
    *("Wilhelm", "William"),
)
"""Rulers and popes: ``Henry VIII`` is "Henry the eighth"."""
RULERS = ("King", "Queen", "Pope", "Emperor", "Empress", "Tsar", "Czar", "Kaiser", "Prince", "Pharaoh")
"""With one of these before the name, ``I`` is a number too, and any name will do."""
NUMBERED_THINGS = (
    *("Act", "Appendix", "Article", "Book", "Chapter", "Class", "Episode", "Figure", "Grade", "Level", "Part"),
    *("Phase", "Scene", "Section", "Stage", "Super Bowl", "Table", "Title", "Type", "Volume", "World War"),
)

SYMBOLS = {
    **{"&": "and", "@": "at", "=": "equals", "+": "plus", "×": "times", "÷": "divided by", "±": "plus or minus"},
    **{"≈": "approximately", "~": "about", "§": "section", "<": "less than", ">": "greater than", "√": "root"},
}
IDIOMS = {"24/7": "twenty-four seven", "9/11": "nine eleven"}
"""Numbers that are said in a way of their own."""
VULGAR_FRACTIONS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅛": (1, 8)}
