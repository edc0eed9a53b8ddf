"""The slow twin of `config.catalog.Catalog`: a few dicts and lists, written from contract/storage.md §3 and nothing else.

It knows contents and history, and asks every client what it reads by looking at every version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import md5

Key = tuple[str, str, str]


def md5_of(content: str) -> str:
    return md5(content.encode()).hexdigest()


@dataclass
class Row:
    content: str
    app_name: str
    tags: tuple[str, ...]
    desc: str | None


@dataclass
class CatalogModel:
    formal: dict[Key, Row] = field(default_factory=dict)
    gray: dict[tuple[Key, str], str] = field(default_factory=dict)  # (key, "beta" | "tag_x") → content
    beta_ips: dict[Key, set[str]] = field(default_factory=dict)
    history: list[tuple[Key, str, str, str]] = field(default_factory=list)  # key, op, gray name, content

    def publish(
        self, key: Key, content: str, cas: str, app_name: str | None, tags: tuple[str, ...] | None, desc: str | None
    ) -> bool:
        old = self.formal.get(key)
        if old is not None and cas and cas != md5_of(old.content):
            return False
        self.formal[key] = Row(
            content,
            app_name if app_name is not None else old.app_name if old else "",
            tags if tags is not None else old.tags if old else (),
            desc,
        )
        self.history.append((key, "U" if old else "I", "", old.content if old else content))
        return True

    def publish_gray(self, key: Key, name: str, content: str, cas: str, ips: set[str], gray_max: int) -> bool:
        old = self.gray.get((key, name))
        if old is None and sum(other == key for other, _ in self.gray) >= gray_max:
            return False
        if old is not None and cas and cas != md5_of(old):
            return False
        self.gray[key, name] = content
        if name == "beta":
            self.beta_ips[key] = ips
        self.history.append((key, "U" if old is not None else "I", name, old if old is not None else content))
        return True

    def remove(self, key: Key) -> None:
        if key in self.formal:
            self.history.append((key, "D", "", self.formal.pop(key).content))

    def remove_gray(self, key: Key, name: str) -> None:
        if (key, name) in self.gray:
            self.history.append((key, "D", name, self.gray.pop((key, name))))

    def read(self, key: Key, client_ip: str, tag: str) -> str | None:
        """Beta by ip before tag before formal."""
        if (key, "beta") in self.gray and client_ip in self.beta_ips[key]:
            return self.gray[key, "beta"]
        if tag and (key, f"tag_{tag}") in self.gray:
            return self.gray[key, f"tag_{tag}"]
        row = self.formal.get(key)
        return None if row is None else row.content
