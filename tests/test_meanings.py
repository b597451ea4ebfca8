"""What each code and each phrase means by itself, where nothing else in the answer helps.

Written from the vendors' documentation and from answers seen, not from our tables: a code or phrase
that our tables lose is missed here.  Status 418 means nothing to anybody.
"""

from __future__ import annotations

import json

import pytest

from monitor.dialects.complaints import complaint
from monitor.dialects.explain import explain, explain_in_band
from monitor.model import Reason

CODES = {
    Reason.OVERLOADED: """
        engine_overloaded_error overloaded_error overloaded server_is_overloaded slow_down
        capacity_exceeded UNAVAILABLE service_unavailable service_unavailable_error
        ServiceUnavailableException ModelNotReadyException insufficient_system_resource
        unavailable_error EngineCapacity no_capacity MODEL_CAPACITY_EXHAUSTED
        service_tier_capacity_exceeded
    """,
    Reason.QUOTA: """
        insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded
        project_spend_limit_exceeded organization_usage_limit_exceeded billing_error
        exceeded_current_quota_error enforced_spend_limit_reached Arrearage insufficient_balance
        billing_not_active insufficient_credits account_deactivated billing_hard_limit_reached
        ServiceQuotaExceededException 1113
    """,
    Reason.RATE_LIMITED: """
        rate_limit_exceeded rate_limit_error rate_limit_reached_error RESOURCE_EXHAUSTED
        too_many_requests Throttling Throttling.RateQuota ThrottlingException limit_burst_rate
        rate_limited limit_requests 1302 1303
    """,
    Reason.AUTH: """
        invalid_api_key authentication_error API_KEY_INVALID UNAUTHENTICATED InvalidApiKey
        permission_error PERMISSION_DENIED AccessDeniedException UnrecognizedClientException
        invalid_authentication invalid_authentication_error invalid_organization expired_api_key
    """,
    Reason.MODEL_NOT_FOUND: """
        model_not_found DeploymentNotFound model_not_available model_not_supported ModelNotFound
        ResourceNotFoundException model_deprecated
    """,
    Reason.FILTERED: """
        content_filter data_inspection_failed DataInspectionFailed invalid_prompt cyber_policy
        bio_policy misalignment_policy_violation content_policy_violation 1301
    """,
    Reason.BAD_REQUEST: """
        ValidationException context_length_exceeded unsupported_parameter unsupported_value
        integer_below_min_value data_residency_mismatch request_too_large
    """,
}
WORDS = {
    "Content Exists Risk": Reason.FILTERED,
    "Your input was flagged by our moderation": Reason.FILTERED,
    "Model Not Exist": Reason.MODEL_NOT_FOUND,
    "The model `m` does not exist or you do not have access to it": Reason.MODEL_NOT_FOUND,
    "The provided model identifier is invalid.": Reason.MODEL_NOT_FOUND,
    "Insufficient Balance": Reason.QUOTA,
    "Insufficient credits": Reason.QUOTA,
    "You ran out of credits": Reason.QUOTA,
    "There are no credits left": Reason.QUOTA,
    "Your team has used all available credits": Reason.QUOTA,
    "You have exceeded your monthly included credits": Reason.QUOTA,
    "余额不足或无可用资源包": Reason.QUOTA,
    "Your credit balance is too low to access the API": Reason.QUOTA,
    "Your organization's spend limit was hit": Reason.QUOTA,
    "It reached its monthly spending limit": Reason.QUOTA,
    "You have reached your specified API usage limits": Reason.QUOTA,
    "you have hit your weekly usage limit": Reason.QUOTA,
    "limited to 1000 API calls / month": Reason.QUOTA,
    "on requests per day (RPD): Limit 1000": Reason.QUOTA,
    "on tokens per day (TPD): Limit 500000": Reason.QUOTA,
    "free-models-per-day": Reason.QUOTA,
    "this model requires a subscription": Reason.QUOTA,
    "You exceeded your current quota, please check your plan": Reason.QUOTA,
    "Please enable billing on your project": Reason.QUOTA,
    "API key not valid. Please pass a valid API key.": Reason.AUTH,
    "API key expired. Please renew the API key.": Reason.AUTH,
    "User location is not supported for the API use.": Reason.BLOCKED,
    "The free tier is not available in your country": Reason.BLOCKED,
    "The engine is currently overloaded": Reason.OVERLOADED,
    "Model too busy": Reason.OVERLOADED,
    "Server busy, try again": Reason.OVERLOADED,
    "We are at capacity": Reason.OVERLOADED,
    "Service tier capacity exceeded for this model": Reason.OVERLOADED,
    "No capacity available for the model": Reason.OVERLOADED,
    "The model is experiencing high demand": Reason.OVERLOADED,
    "m is temporarily rate-limited upstream": Reason.OVERLOADED,
    "Loading model": Reason.OVERLOADED,
}
by_code = pytest.mark.parametrize(
    ("code", "reason"),
    [(code, reason) for reason, codes in CODES.items() for code in codes.split()],
)


def body(code: str = "", message: str = "it did not work") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def test_nothing_else_tells() -> None:
    assert explain(418, {}, body("some_code"), 0.0).reason is Reason.UNEXPECTED_STATUS


@by_code
def test_a_code_alone_under_an_error_status(code: str, reason: Reason) -> None:
    assert explain(418, {}, body(code), 0.0).reason is reason


@by_code
def test_a_code_alone_in_a_stream(code: str, reason: Reason) -> None:
    found = complaint({"error": {"code": code, "message": "it did not work"}})
    assert found is not None
    assert explain_in_band(found, streaming=True).reason is reason


@pytest.mark.parametrize(("message", "reason"), WORDS.items())
def test_words_alone(message: str, reason: Reason) -> None:
    assert explain(418, {}, body(message=message), 0.0).reason is reason


@pytest.mark.parametrize(
    ("quota", "reason"), [("PerDay", Reason.QUOTA), ("PerMinute", Reason.RATE_LIMITED)]
)
def test_geminis_quota_tells_a_day_from_a_minute(quota: str, reason: Reason) -> None:
    violation = {"quotaId": f"GenerateRequests{quota}PerProjectPerModel"}
    details = [{"violations": [violation]}]
    error = {"code": 418, "message": "it did not work", "details": details}
    assert explain(418, {}, json.dumps({"error": error}).encode(), 0.0).reason is reason
