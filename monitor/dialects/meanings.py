"""What codes, words and statuses of error answers mean; tables only, read by `explain`."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.model import Reason

#: Codes and types as vendors write them (lower case) and what they mean; the numbers are Z.ai's.
CODES: Mapping[str, Reason] = {
    code: reason
    for reason, codes in {
        Reason.OVERLOADED: (
            "engine_overloaded_error overloaded_error overloaded server_is_overloaded slow_down "
            "capacity_exceeded unavailable service_unavailable service_unavailable_error "
            "serviceunavailableexception modelnotreadyexception insufficient_system_resource "
            "unavailable_error enginecapacity no_capacity model_capacity_exhausted "
            "service_tier_capacity_exceeded"
        ),
        Reason.QUOTA: (
            "insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded "
            "project_spend_limit_exceeded organization_usage_limit_exceeded billing_error "
            "exceeded_current_quota_error enforced_spend_limit_reached arrearage "
            "insufficient_balance billing_not_active insufficient_credits account_deactivated "
            "billing_hard_limit_reached servicequotaexceededexception quota_per_day 1113"
        ),
        Reason.RATE_LIMITED: (
            "rate_limit_exceeded rate_limit_error rate_limit_reached_error resource_exhausted "
            "too_many_requests throttling throttlingexception limit_burst_rate quota_per_minute "
            "rate_limited limit_requests 1302 1303"
        ),
        Reason.AUTH: (
            "invalid_api_key authentication_error api_key_invalid unauthenticated invalidapikey "
            "permission_error permission_denied accessdeniedexception unrecognizedclientexception "
            "invalid_authentication invalid_authentication_error invalid_organization "
            "expired_api_key"
        ),
        Reason.MODEL_NOT_FOUND: (
            "model_not_found deploymentnotfound model_not_available model_not_supported "
            "modelnotfound resourcenotfoundexception model_deprecated"
        ),
        Reason.FILTERED: (
            "content_filter data_inspection_failed datainspectionfailed invalid_prompt "
            "cyber_policy bio_policy misalignment_policy_violation content_policy_violation 1301"
        ),
        Reason.BAD_REQUEST: (
            "validationexception context_length_exceeded unsupported_parameter unsupported_value "
            "integer_below_min_value data_residency_mismatch request_too_large"
        ),
    }.items()
    for code in codes.split()
}

#: What OpenAI says of money, Google says of any limit, that of a minute included.
GOOGLES = "exceeded your current quota"

#: Words in a message that outrank the status (lower case); the first that is found decides.
WORDS: tuple[tuple[str, Reason], ...] = (
    ("content exists risk", Reason.FILTERED),
    ("input was flagged", Reason.FILTERED),
    ("model not exist", Reason.MODEL_NOT_FOUND),
    ("does not exist or you do not have access", Reason.MODEL_NOT_FOUND),
    ("insufficient balance", Reason.QUOTA),
    ("insufficient credit", Reason.QUOTA),
    ("out of credits", Reason.QUOTA),
    ("no credits", Reason.QUOTA),
    ("all available credits", Reason.QUOTA),
    ("included credits", Reason.QUOTA),
    ("\u4f59\u989d\u4e0d\u8db3", Reason.QUOTA),  # "balance insufficient", Z.ai in Chinese
    ("credit balance is too low", Reason.QUOTA),
    ("spend limit", Reason.QUOTA),
    ("spending limit", Reason.QUOTA),
    ("api usage limit", Reason.QUOTA),
    ("weekly usage limit", Reason.QUOTA),
    ("calls / month", Reason.QUOTA),
    ("requests per day", Reason.QUOTA),
    ("tokens per day", Reason.QUOTA),
    ("free-models-per-day", Reason.QUOTA),
    ("requires a subscription", Reason.QUOTA),
    (GOOGLES, Reason.QUOTA),
    ("api key not valid", Reason.AUTH),
    ("api key expired", Reason.AUTH),
    ("model identifier is invalid", Reason.MODEL_NOT_FOUND),
    ("user location is not supported", Reason.BLOCKED),
    ("not available in your country", Reason.BLOCKED),
    ("enable billing", Reason.QUOTA),
    ("overloaded", Reason.OVERLOADED),
    ("too busy", Reason.OVERLOADED),
    ("server busy", Reason.OVERLOADED),
    ("at capacity", Reason.OVERLOADED),
    ("capacity exceeded", Reason.OVERLOADED),
    ("no capacity available", Reason.OVERLOADED),
    ("high demand", Reason.OVERLOADED),
    ("rate-limited upstream", Reason.OVERLOADED),
    ("loading model", Reason.OVERLOADED),
)

STATUSES: Mapping[int, Reason] = {
    **dict.fromkeys(
        (400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 422, 431), Reason.BAD_REQUEST
    ),
    **dict.fromkeys((401, 403, 407), Reason.AUTH),
    **dict.fromkeys((402, 412), Reason.QUOTA),
    **dict.fromkeys((408, 424, 499), Reason.SERVER_ERROR),
    429: Reason.RATE_LIMITED,
    451: Reason.BLOCKED,
    **dict.fromkeys((498, 503, 529), Reason.OVERLOADED),
}
