PARAMETERS_MAX: int
CHARSETS: frozenset[str]

def parse_form(query: bytes, body: bytes, body_charset: str | None = None) -> dict[str, str]: ...
