"""Amounts of money as text, for every function that has the layer."""


def text(cents, currency):
    return f"{cents // 100}.{cents % 100:02d} {currency}"
