"""Table of the scaling policies. A new policy needs one file beside this one and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from argosy.control.scaling.policies.policy import Policy
from argosy.control.scaling.policies.predictive import PREDICTIVE
from argosy.control.scaling.policies.target import TARGET
from argosy.control.scaling.policies.threshold import THRESHOLD

POLICIES: Mapping[str, Policy[Any]] = {policy.name: policy for policy in (THRESHOLD, TARGET, PREDICTIVE)}
