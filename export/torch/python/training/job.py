"""What a training is asked to do, by the command and by what it goes on from."""

from __future__ import annotations

from dataclasses import dataclass

from .course import Course
from .feeding import Feed
from .snapshots import Found


@dataclass
class Job:
    """All that a training needs to know before it starts. `resume_by`: the command that goes on with it, but for the path. `marks`:
    the folder for what must be known after a restart."""

    settings: dict
    course: Course
    train: Feed
    test: Feed
    validation: Feed | None
    data_name: str
    choices: dict
    resumed: Found | None
    run: str | None
    place: str
    marks: str
    save: str
    keep: float
    keep_going: bool
    most_seconds: float
    measure: dict | None
    resume_by: list[str]
