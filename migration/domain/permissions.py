"""Who may. Whether it may be done to the thing in its state is another matter: `lifecycle` and the actions say that."""

from enum import StrEnum

from migration.enums import RequestKind, Role


class Action(StrEnum):
    VIEW = "view"
    PLAN = "plan"  # draft a plan, request approval, withdraw it
    DECIDE = "decide"  # approve or reject someone else's request, of a plan or of a waiver
    WAIVE = "waive"  # ask for a waiver or its renewal, withdraw it
    END = "end"  # end a waiver before its time
    STEER = "steer"  # stop or resume a run
    CONNECT = "connect"  # see how accounts are connected, test their roles
    BRAKE = "brake"  # stop every write everywhere
    RELEASE = "release"  # let writes go on again
    GROUP = "group"  # make waves, say which accounts are in them, start and close them
    ADMINISTER = "administer"  # propose and approve policies


ROLES_FOR: dict[Action, frozenset[Role]] = {
    Action.VIEW: frozenset({Role.VIEWER, Role.ENGINEER, Role.APPROVER, Role.ADMIN}),
    Action.PLAN: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.DECIDE: frozenset({Role.APPROVER, Role.ADMIN}),
    Action.WAIVE: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.END: frozenset({Role.ENGINEER, Role.APPROVER, Role.ADMIN}),
    Action.STEER: frozenset({Role.ENGINEER, Role.APPROVER, Role.ADMIN}),
    Action.CONNECT: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.BRAKE: frozenset({Role.ENGINEER, Role.APPROVER, Role.ADMIN}),
    Action.RELEASE: frozenset({Role.APPROVER, Role.ADMIN}),
    Action.GROUP: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.ADMINISTER: frozenset({Role.ADMIN}),
}


def right_to_plan(kind: RequestKind) -> Action:
    """Who may draft, edit, ask for and withdraw a plan: to put back is for everybody who may steer the run."""
    return Action.STEER if kind == RequestKind.ROLLBACK else Action.PLAN


def allows(roles: frozenset[Role], action: Action) -> bool:
    """True when any of the roles may do the action."""
    return bool(roles & ROLES_FOR[action])
