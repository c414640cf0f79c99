"""How long a text is on the wire, which is what memory and time go by."""


def wire_bytes(text: str) -> int:
    """Return the length of a text in bytes of UTF-8; nearly all of this wire is ASCII."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
