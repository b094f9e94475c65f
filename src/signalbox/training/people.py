"""Names, streets and sentences to make examples of personal data from.

Sentences and forms are our own. Names of many countries, and streets as they are written there, come from Faker, which
is needed here only; nobody is meant.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import Any, NamedTuple

from signalbox.errors import SetupError

MOST_NAMES = 700
"""Of one country: otherwise two or three long lists would be most of them."""

_LATIN = re.compile(r"[A-Za-zÀ-ž'’ -]{2,20}")


class Names(NamedTuple):
    """First and last names, each list sorted."""

    first: tuple[str, ...]
    last: tuple[str, ...]


@cache
def names() -> Names:
    """Return the names of every country that writes in Latin letters. Raises SetupError if Faker is missing."""
    providers = _faker("faker.providers.person")
    first: set[str] = set()
    last: set[str] = set()
    for country in sorted(module.name for module in pkgutil.iter_modules(providers.__path__)):
        provider = importlib.import_module(f"faker.providers.person.{country}").Provider
        first |= _listed(provider, "first_names")
        last |= _listed(provider, "last_names")
    return Names(tuple(sorted(first)), tuple(sorted(last)))


def _listed(provider: type, prefix: str) -> set[str]:
    found: set[str] = set()
    for key in sorted(key for key in dir(provider) if key.startswith(prefix)):
        listed = getattr(provider, key)
        if isinstance(listed, (tuple, list, dict)):
            plain = sorted({name for name in listed if isinstance(name, str) and _LATIN.fullmatch(name)})
            found |= set(plain[:: max(1, len(plain) // MOST_NAMES)])
    return found


@cache
def addresses(seed: int, each: int) -> tuple[str, ...]:
    """Return street addresses as they are written in many countries, `each` of one. Raises SetupError without Faker."""
    faker = _faker("faker")
    found = []
    for country in ADDRESS_COUNTRIES:
        fake = faker.Faker(country)
        fake.seed_instance(seed)
        found += [fake.street_address() if at % 3 else fake.address() for at in range(each)]
    return tuple(found)


def _faker(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        raise SetupError(
            f"{module} is needed to make names from; install it: pip install 'signalbox[train]'"
        ) from problem


ADDRESS_COUNTRIES = [
    "en_US",
    "en_GB",
    "en_CA",
    "en_AU",
    "en_IE",
    "de_DE",
    "de_AT",
    "de_CH",
    "fr_FR",
    "fr_CH",
    "fr_CA",
    "es_ES",
    "es_MX",
    "es_AR",
    "it_IT",
    "pt_PT",
    "pt_BR",
    "nl_NL",
    "nl_BE",
    "sv_SE",
    "da_DK",
    "no_NO",
    "fi_FI",
    "pl_PL",
    "cs_CZ",
    "sk_SK",
    "hu_HU",
    "ro_RO",
    "hr_HR",
    "sl_SI",
    "tr_TR",
    "en_NZ",
    "en_IN",
    "id_ID",
]

STREETS = [
    "Oak",
    "Maple",
    "Cedar",
    "Pine",
    "Elm",
    "Washington",
    "Lake",
    "Hill",
    "Main",
    "Park",
    "Church",
    "High",
    "Mill",
    "River",
    "Spring",
    "Walnut",
    "Willow",
    "Sunset",
    "Jackson",
    "Lincoln",
    "Madison",
    "Franklin",
    "Highland",
    "Forest",
    "Station",
    "Victoria",
    "Green",
    "King",
    "Queen",
    "Albert",
    "Chestnut",
    "Meadow",
    "Valley",
    "Ridge",
    "Garden",
    "Linden",
    "Birch",
    "Aspen",
    "Juniper",
    "Magnolia",
    "Hawthorn",
    "Kingsley",
    "Harbour",
    "Dock",
    "Market",
    "Castle",
    "Abbey",
    "Bridge",
    "Orchard",
    "Windmill",
]

STREET_FORMS = (
    "{n} {s} Street",
    "{n} {s} St",
    "{n} {s} St.",
    "{n} {s} Avenue",
    "{n} {s} Ave",
    "{n} {s} Road",
    "{n} {s} Rd.",
    "{n} {s} Lane",
    "{n} {s} Drive",
    "{n} {s} Blvd",
    "{n} {s} Court",
    "{n} {s} Way",
    "{n} {s} Terrace, Apt. {m}",
    "{n} {s} Place Suite {m}",
    "{n} {s} Crossing Apt. {m}",
    "{s}straße {m}",
    "{s}strasse {m}",
    "{s}weg {m}",
    "{s}gasse {m}",
    "{m} rue de la {s}",
    "{m}, avenue {s}",
    "Calle {s} {m}",
    "Via {s} {m}",
    "{s}gatan {m}",
    "{s}vägen {m}",
    "{s}veien {m}",
    "{s}laan {m}",
    "{s}straat {m}",
    "ul. {s} {m}",
    "{s}katu {m}",
    "P.O. Box {n}",
    "PO Box {n}, {s}ville",
    "Unit {n} Box {n}",
    "{n} {s} Street\nApt. {m}\n{s}ton, CA {z}",
    "{n} {s} Ave, {s}field, NY {z}",
    "{n} {s} Road\n {s}bury\n {z}",
)

PERSON_SENTENCES = (
    "My name is {p}.",
    "I'm {p} and I have a question about my order",
    "this is {p} calling about the invoice",
    "Please send the contract to {p} by Friday.",
    "{p} said that the meeting was moved.",
    "What did {p} write in the last message?",
    "Dear {p},\n\nthank you for your letter.",
    "Kind regards,\n{p}",
    "Patient: {p}\nDate of admission: 3 March",
    "Name: {p}",
    "The account belongs to {p}, who called yesterday",
    "I spoke with {p} from accounting",
    "Can you book a table for {p} tonight?",
    "write an email to {p} about the delay",
    "{p} and {p} were married in 2011",
    "Our new colleague {p} starts on Monday.",
    "Mr. {p} complained about the noise",
    "Mrs {p} would like a refund",
    "Dr. {p} will see you now",
    "{p}'s passport has expired",
    "according to {p}, sales went up",
    "Summarize the interview with {p}.",
    "From: {p}\nTo: {p}\nSubject: budget",
    "Who is {p}?",
    "customer {p} is not happy",
    "The winner was {p} with 40 points, ahead of {p}.",
    "Translate: {p} lives in Spain.",
    "i am {p}, born in 1980",
    "{p}: can you help me?",
    "Employee name {p}, salary 4000",
    "we have to tell {p} the diagnosis",
    "my doctor {p} prescribed it",
    "Ask {p} whether {p} is coming",
    "{p} works as a nurse in our clinic.",
    "was {p} the one who signed it",
    "cc {p} on this",
)

ADDRESS_SENTENCES = (
    "I live at {a}.",
    "My address is {a}",
    "Please deliver it to {a} before noon",
    "Ship to:\n{p}\n{a}",
    "How do I get to {a}?",
    "the flat at {a} is for rent",
    "Billing address: {a}",
    "We moved from {a} to {a} last year.",
    "send a taxi to {a}",
    "Our office is located at {a}, second floor.",
    "{p}, {a}",
    "the accident happened in front of {a}",
    "change my address to {a} please",
    "Property: {a}. Price: 200,000.",
    "meet me at {a} at nine",
    "Her last known address was {a}",
)

PLAIN_SENTENCES = (
    "The {o} update was released on {d} and runs on {t}.",
    "How do I install {t} on {o}?",
    "{o} and {o} announced a partnership in {g}.",
    "We compared {t} with {t} in {g}.",
    "In {g}, the {o} Conference takes place every {d}.",
    "Write a {t} function that reads a file. Then explain it.",
    "The population of {g} grew in {d}.",
    "# Introduction\n\n## Related Work\n\nThis Section Describes Our Method",
    "Error: Connection Refused. Please Try Again Later.",
    "What is the capital of {g}?",
    "Translate this into {l}: Good morning",
    "The {l} word for house is short.",
    "On {d} we deploy {t} to the Production cluster",
    "Step 1: Open Settings. Step 2: Choose Network. Step 3: Press OK.",
    "Explain the Second Law of Thermodynamics and the Doppler Effect",
    "Is {o} stock a good buy?",
    "A. True\nB. False\nC. None Of The Above",
    "{t} raises a TypeError. Why? My Code Is Below.",
    "Flights from {g} to {g} on {d}",
    "Company: {o}\nCountry: {g}\nProduct: {t}",
    "Hello, Good Morning, Thanks",
    "Let X be a random variable. Suppose Y is Normal with mean 3.",
    "There were 25 people in room 114 and 3 of them left at 10:30",
    "the total is 1200 Main unit 5",
    "Go to page 12 Street view and zoom in 3 times",
)

FILLS = {
    "o": "Acme Microsoft Google Apple Amazon Siemens Toyota Samsung Oracle Intel Nestlé Pfizer Boeing Airbus "
    "Sony Netflix Spotify Reuters Visa IKEA Nokia Ericsson Bosch Philips Adobe Salesforce Stripe Uber "
    "Lufthansa Vodafone",
    "g": "Germany France Spain London Paris Tokyo Canada Brazil India China Berlin Rome Madrid Chicago Boston "
    "Texas Ohio California Europe Africa Asia Egypt Norway Sweden Poland Vienna Lisbon Athens Moscow "
    "Sydney Austria Japan Mexico",
    "d": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April June July "
    "August September October November December 2019 2020 2024 Christmas Easter",
    "t": "Python Java Kubernetes Docker Windows Linux Excel PostgreSQL React TensorFlow Android iPhone Chrome "
    "Firefox Redis Kafka Django Flask PyTorch GitHub AWS Azure JavaScript TypeScript Ubuntu MySQL",
    "l": "English French German Spanish Italian Russian Chinese Japanese Korean Arabic Hindi Dutch Polish "
    "Turkish Swedish",
}
"""Capitalised words that name nobody, by the letter that stands for them."""
