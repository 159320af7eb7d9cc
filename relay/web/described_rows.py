"""What the operator's API takes and answers, as ``/openapi.json`` describes it."""

from marshmallow import fields, validate

from relay.delivery import STATES
from relay.operator import jobs
from relay.operator.actions import POSSIBLE, REPLAY
from relay.outbox.jobs import CANCELLED, COUNTED, DONE, FAILED, RUNNING
from relay.web.described import Asked, Described, Problem


class Send(Described):
    """One call upstream."""

    kind = fields.String()
    started_at = fields.DateTime()
    seconds = fields.Float(allow_none=True)
    outcome = fields.String(allow_none=True)
    status = fields.Integer(allow_none=True)


class Submission(Described):
    """What the operator sees: nothing that is personal but a hint."""

    receipt = fields.String()
    source = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    reason = fields.String(allow_none=True)
    attempts = fields.Integer()
    may_be_duplicate = fields.Boolean()
    received_at = fields.DateTime()
    due_at = fields.DateTime(allow_none=True)
    delivered_at = fields.DateTime(allow_none=True)
    profile_id = fields.String(allow_none=True)
    trace_id = fields.String(allow_none=True)
    contact_hint = fields.String(allow_none=True)
    dropped = fields.List(fields.String())
    consent = fields.Dict(allow_none=True)
    fence = fields.Integer(metadata={"description": "what `expect` takes, with the state"})


class Diagnosis(Described):
    """What the body of an invalid one has, and which rules found nothing of use: names, never values."""

    says = fields.String()
    has = fields.List(fields.Dict(fields.String(), fields.String()))
    missing = fields.List(fields.Dict(fields.String(), fields.Raw()))
    unusable = fields.List(fields.Dict(fields.String(), fields.String()))


class SubmissionWithHistory(Submission):
    """One submission and every send of it."""

    history = fields.List(fields.Nested(Send))
    diagnosis = fields.Nested(Diagnosis)


class Paged(Described):
    """``next`` is the ``before`` of the next page."""

    next = fields.String(allow_none=True)


class Page(Paged):
    """A page of submissions."""

    submissions = fields.List(fields.Nested(Submission))


class Replay(Asked):
    """Which submissions to queue again."""

    state = fields.String(validate=validate.OneOf(POSSIBLE[REPLAY]), required=True)
    source = fields.String(allow_none=True)
    dry_run = fields.Boolean()


class Count(Described):
    """How many are, or would be, queued; the job that does it."""

    count = fields.Integer()
    job = fields.String()


class Changed(SubmissionWithHistory, Problem):
    """A problem that says how the row is now."""


class DestinationStatus(Described):
    """One destination."""

    hold_until = fields.DateTime(allow_none=True)
    hold_reason = fields.String(allow_none=True)
    backlog = fields.Integer()
    oldest_seconds = fields.Float(allow_none=True)
    eta_seconds = fields.Integer(allow_none=True)
    quota_used = fields.Dict(fields.String(), fields.Integer())


class Expect(Asked):
    """The row as it was seen; if it has changed since, the answer is 409 and nothing is done."""

    state = fields.String(validate=validate.OneOf(STATES), required=True)
    fence = fields.Integer(required=True)


class Acting(Asked):
    """What an action on one submission takes."""

    expect = fields.Nested(Expect, allow_none=True)


class Correction(Acting):
    """Corrected values by profile field; null leaves a field out."""

    values = fields.Dict(fields.String(), fields.Raw(allow_none=True), required=True)


class Contact(Asked):
    """Whom or what to look for: one of these."""

    contact = fields.String(
        validate=validate.Length(min=1), metadata={"description": "an e-mail address or a phone number"}
    )
    receipt = fields.String(validate=validate.Length(min=4))
    profile_id = fields.String(validate=validate.Length(min=4))
    trace_id = fields.String(validate=validate.Length(min=4))
    before = fields.String(metadata={"description": "`next` of the page before"})
    limit = fields.Integer(validate=validate.Range(1, 1000), metadata={"description": "1000 if absent"})


class Personal(Described):
    """What is personal in a submission: its profile, and its body where not all could be mapped."""

    receipt = fields.String()
    profile = fields.Dict(fields.String(), fields.Raw())
    update = fields.Dict(fields.String(), fields.Raw())
    body = fields.Raw()


class JobFilter(Asked):
    """Which submissions a job means."""

    state = fields.String(validate=validate.OneOf(POSSIBLE[REPLAY]), required=True)
    source = fields.String(allow_none=True)
    reason = fields.String(allow_none=True)
    since = fields.DateTime(allow_none=True)
    until = fields.DateTime(allow_none=True)
    duplicate = fields.Boolean(allow_none=True)


class NewJob(Asked):
    """What to do with many; a dry run says what would become of each. ``counted`` names a dry run: its rows
    are meant, whatever ``filter`` says, and none that came later."""

    action = fields.String(validate=validate.OneOf(jobs.ACTIONS), required=True)
    filter = fields.Nested(JobFilter)
    dry_run = fields.Boolean()
    counted = fields.String(allow_none=True)


class MadeJob(Described):
    """A job's name, and how many it means; ``more_than``: that there are more."""

    job = fields.String()
    count = fields.Integer()
    more_than = fields.Boolean()


class Job(Described):
    """How far a job has come, and what became of the rows."""

    job = fields.String()
    action = fields.String(validate=validate.OneOf(jobs.ACTIONS))
    filter = fields.Nested(JobFilter)
    dry_run = fields.Boolean()
    by = fields.String()
    state = fields.String(validate=validate.OneOf([COUNTED, RUNNING, DONE, CANCELLED, FAILED]))
    total = fields.Integer()
    more_than = fields.Boolean()
    done = fields.Integer()
    outcomes = fields.Dict(fields.String(validate=validate.OneOf(jobs.OUTCOMES)), fields.Integer())
    problem = fields.String(allow_none=True)
    made_at = fields.DateTime()
    ended_at = fields.DateTime(allow_none=True)


class JobPage(Paged):
    """A page of jobs, newest first."""

    jobs = fields.List(fields.Nested(Job))


class Act(Described):
    """What somebody did."""

    at = fields.DateTime()
    by = fields.String()
    action = fields.String()
    receipt = fields.String(allow_none=True)
    filter = fields.Dict(allow_none=True)
    count = fields.Integer()
    detail = fields.Dict(allow_none=True)


class AuditPage(Paged):
    """A page of what was done, newest first."""

    audit = fields.List(fields.Nested(Act))


class Refused(Described):
    """How often a source refused something for one cause, within a week."""

    cause = fields.String()
    count = fields.Integer()
    last = fields.DateTime()


class SourceStatus(Described):
    """What came to a source, and what of it needs somebody: by state and reason."""

    source = fields.String()
    kind = fields.String(allow_none=True)
    enabled = fields.Boolean()
    last = fields.DateTime(allow_none=True)
    counts = fields.Dict(fields.String(), fields.Integer())
    hours = fields.List(fields.Integer())
    refusals = fields.List(fields.Nested(Refused))
    unmapped = fields.List(fields.String())
    needs_you = fields.Dict(fields.String(), fields.Dict(fields.String(), fields.Integer()))


class Test(Asked):
    """Whether a test is sent, and to whom: the operator's own address."""

    send = fields.Boolean()
    email = fields.String(allow_none=True)
    mobile_phone_number = fields.String(allow_none=True)


class Tested(Described):
    """What a test came to."""

    receipt = fields.String()
    state = fields.String()
    reason = fields.String()
    profile = fields.Dict(fields.String(), fields.Raw())
    dropped = fields.List(fields.String())
