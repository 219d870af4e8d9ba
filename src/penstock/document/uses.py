"""Lists of steps and of rules: each entry is a map with one key, its name, and little else beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast

from penstock.document.models import RuleUse, StepUse
from penstock.document.tree import Entry, Mapping, Scalar, Sequence, is_null
from penstock.document.validation import Owner, validate
from penstock.errors import Problem, nearest
from penstock.structs import Mutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.document.tree import Node
    from penstock.fields import Params
    from penstock.registry import Descriptor, Group

BESIDE_A_STEP: Final = ("name", "scope", "description")
# Parameters of rules (rules/params.py), which may stand beside the name too.
BESIDE_A_RULE: Final = ("name", "on_fail", "max_rows", "max_share", "weight", "scope", "description")


class UseReader(Mutable):
    """Reads both kinds of lists; ``problems`` grow. ``find`` and ``names`` are those of the catalogue."""

    find: Callable[[Group, str], Descriptor | None]
    names: Callable[[Group], tuple[str, ...]]
    problems: list[Problem] = field(default_factory=list)

    def steps(self, node: Node | None) -> Iterator[StepUse]:
        """Those that can be used. Problems: DOC-203, DOC-211, DOC-212, and of the parameters."""
        for item in self._items(node, "steps"):
            found = self._named(item, "steps", BESIDE_A_STEP)
            if found is None:
                continue
            descriptor, entry = found
            params = self._params(descriptor, entry.value, entry)
            label = item.get("name")
            text = label.value if isinstance(label, Scalar) and isinstance(label.value, str) else descriptor.name
            scope = self.scope(item)
            if params is not None:
                yield StepUse(descriptor, params, entry.key.at, text, scope)

    def rules(self, node: Node | None) -> Iterator[RuleUse]:
        """Those that can be used. Problems: DOC-203, DOC-217, DOC-218, and of the parameters."""
        for item in self._items(node, "rules"):
            found = self._named(item, "rules", BESIDE_A_RULE)
            if found is None:
                continue
            descriptor, entry = found
            params = self._params(descriptor, self._with_beside(item, descriptor, entry), entry)
            if params is not None:
                yield RuleUse(descriptor, params, entry.key.at)

    def scope(self, node: Mapping) -> Literal["epoch"] | None:
        """``scope: epoch`` of a step or a transform, the only one there is."""
        scope = node.get("scope")
        if scope is None:
            return None
        if not isinstance(scope, Scalar) or scope.value != "epoch":
            self.problems.append(
                Problem("DOC-203", '"scope" takes `epoch`: the rows of one epoch are meant', at=scope.at)
            )
        return "epoch"

    def _items(self, node: Node | None, group: Group) -> Iterator[Mapping]:
        if node is None or is_null(node):
            return
        if not isinstance(node, Sequence):
            self.problems.append(Problem("DOC-203", f'"{group}" is a list', at=node.at))
            return
        for item in node.items:
            if isinstance(item, Mapping):
                yield item
            else:
                self.problems.append(
                    Problem(_CODES[group][0], f"{_A[group]} is a map with one key, its name", at=item.at)
                )

    def _named(self, node: Mapping, group: Group, beside: tuple[str, ...]) -> tuple[Descriptor, Entry] | None:
        """The step or rule that the one key names."""
        kinds = [name for name in node.entries if name not in beside]
        malformed, unknown = _CODES[group]
        if len(kinds) != 1:
            message = f"{_A[group]} is a map with one key, its name; here stand {', '.join(kinds) or 'none'}"
            hint = f"begin each {_word(group)} with a dash of its own"
            self.problems.append(Problem(malformed, message, at=node.at, hint=hint))
            return None
        entry = node.entries[kinds[0]]
        descriptor = self.find(group, kinds[0])
        if descriptor is None:
            known = self.names(group)
            near = nearest(kinds[0], known)
            hint = f'did you mean "{near}"?' if near else f"known {group}: {', '.join(known)}"
            message = f'there is no {_word(group)} "{kinds[0]}"'
            self.problems.append(Problem(unknown, message, at=entry.key.at, hint=hint))
            return None
        return descriptor, entry

    def _params(self, descriptor: Descriptor, node: Node, entry: Entry) -> Params | None:
        owner = Owner(f'{_word(descriptor.group)} "{descriptor.name}"')
        params, problems = validate(descriptor.params, node, owner, at=entry.key.at)
        if not isinstance(node, Mapping):
            shown = f"`penstock {descriptor.group} {descriptor.name}` shows how it is written"
            problems = [problem if problem.hint else replace(problem, hint=shown) for problem in problems]
        self.problems.extend(problems)
        return cast("Params | None", params)

    def _with_beside(self, node: Mapping, descriptor: Descriptor, entry: Entry) -> Node:
        """The rule's parameters, with those that stand beside its name; the short form spelled out."""
        beside = {name: node.entries[name] for name in BESIDE_A_RULE if name in node.entries}
        if not beside:
            return entry.value
        if isinstance(entry.value, Mapping):
            inside = entry.value.entries
        elif descriptor.short is not None:
            inside = {descriptor.short: _under(descriptor.short, entry)}
        else:
            return entry.value
        for name in beside.keys() & inside.keys():
            message = f'rule "{descriptor.name}" has "{name}" twice: inside and beside'
            self.problems.append(Problem("DOC-203", message, at=beside[name].key.at))
        return Mapping({**inside, **beside}, node.at)


_CODES: Final[dict[Group, tuple[str, str]]] = {"steps": ("DOC-211", "DOC-212"), "rules": ("DOC-217", "DOC-218")}
_A: Final[dict[Group, str]] = {"steps": "a step", "rules": "a rule"}


def _under(name: str, entry: Entry) -> Entry:
    return Entry(replace(entry.key, value=name, text=name), entry.value)


def _word(group: Group) -> str:
    return group.removesuffix("s")
