"""Motet's dashboards: `python -m deploy.grafana.build` writes them into `dashboards/`.

Names of metrics are those that the collector gives them: dots become underscores, and the unit is
put behind. What several planners report of the same queue is the same, hence `max`, not `sum`.
"""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.panels import Dashboard, Panel, Row, stat, table

FOLDER = Path(__file__).with_name("dashboards")
RATE = "[$__rate_interval]"


def rate(metric: str, by: str, where: str = "") -> str:
    """Events a second."""
    return f"sum by ({by}) (rate({metric}{{{where}}}{RATE}))"


def quantile(q: float, metric: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{where}}}{RATE})))"


def quantiles(metric: str, where: str = "") -> dict[str, str]:
    """The usual three."""
    return {f"p{q}": quantile(q / 100, metric, where=where) for q in (50, 90, 99)}


def share(part: str, whole: str) -> str:
    """A part of a whole, from 0 to 1; 0 where there is no part."""
    return f"(({part}) or 0 * ({whole})) / ({whole})"


BAD = 'motet_task_state=~"failed|expired"'
TASK_ERRORS = share(
    f"sum(rate(motet_tasks_total{{{BAD}}}{RATE}))", f"sum(rate(motet_tasks_total{RATE}))"
)
OF_AGENT = 'motet_agent=~"$agent"'
FAILED_CALL = f'{OF_AGENT}, motet_outcome!~"ok|suspended|handed_back"'
CALLED = "motet_agent, motet_skill"
SKILL = "{{motet_agent}}.{{motet_skill}}"
AGENTS = {"agent": "label_values(motet_calls_total, motet_agent)"}
CACHE = share(
    "sum(rate(motet_model_cache_hits_total[$__rate_interval]))",
    "(sum(rate(motet_model_cache_hits_total[$__rate_interval])) or vector(0))"
    " + sum(rate(gen_ai_client_inference_duration_seconds_count[$__rate_interval]))",
)

OVERVIEW = Dashboard(
    "overview",
    "Motet: overview",
    "Whether tasks are done, how fast, at what cost, and what stands in their way.",
    [
        Row(
            "Now",
            [
                stat("Tasks queued or running", "sum(max by (motet_queue, motet_priority, motet_tenant) (motet_tasks_queued)) or vector(0)"),
                stat("Calls queued or running", "sum(max by (motet_agent, motet_skill) (motet_calls_queued)) or vector(0)"),
                stat("Dead letters", "sum(max by (motet_agent, motet_skill) (motet_dead_letters_kept)) or vector(0)", red_from=1),
                stat("Agents alive", "count(max by (motet_agent) (motet_agent_instances) > 0)"),
                stat("Failed of tasks, 1 h", share(f"sum(increase(motet_tasks_total{{{BAD}}}[1h]))", "sum(increase(motet_tasks_total[1h]))"), "percentunit", red_from=0.05),
                stat("Cost, 24 h", "sum(increase(motet_cost_total[24h]))", "currencyUSD"),
            ],
        ),
        Row(
            "Tasks",
            [
                Panel("Tasks that ended", {"{{motet_task_state}}": rate("motet_tasks_total", "motet_task_state")}, "ops", stacked=True),
                Panel("From acceptance to end", quantiles("motet_task_duration_seconds"), "s", about="A dot is a task: it opens its trace."),
                Panel("Failed or expired, of all", {"errors": TASK_ERRORS}, "percentunit"),
                Panel("Live processes", {"{{motet_agent}}": "max by (motet_agent) (motet_agent_instances)"}),
            ],
        ),
    ],
)  # fmt: skip

SKILLS = Dashboard(
    "agents",
    "Motet: agents and skills",
    "Rates, errors and durations of each skill.",
    [
        Row(
            "Calls",
            [
                Panel("Attempts", {SKILL: rate("motet_calls_total", CALLED, OF_AGENT)}, "ops"),
                Panel("Failed attempts, by outcome", {f"{SKILL} {{{{motet_outcome}}}}": rate("motet_calls_total", f"{CALLED}, motet_outcome", FAILED_CALL)}, "ops"),
                Panel("Time in the handler, p90", {SKILL: quantile(0.9, "motet_call_handler_time_seconds", CALLED, OF_AGENT)}, "s", about="A dot is an attempt: it opens its trace."),
                Panel("Worked on now", {SKILL: f"sum by ({CALLED}) (motet_calls_active{{{OF_AGENT}}})"}),
                Panel("Retries, by fault", {f"{SKILL} {{{{error_type}}}}": rate("motet_call_retries_total", f"{CALLED}, error_type", OF_AGENT)}, "ops"),
                Panel("Answered by the ledger", {SKILL: rate("motet_calls_reused_total", CALLED, OF_AGENT)}, "ops", about="Deliveries of calls that had run: nothing ran again."),
            ],
        ),
        Row(
            "Tools",
            [
                Panel("Runs", {"{{gen_ai_tool_name}}": rate("gen_ai_execute_tool_duration_seconds_count", "gen_ai_tool_name")}, "ops"),
                Panel("How long, p90", {"{{gen_ai_tool_name}}": quantile(0.9, "gen_ai_execute_tool_duration_seconds", "gen_ai_tool_name")}, "s"),
            ],
        ),
    ],
    AGENTS,
)  # fmt: skip

QUEUES = Dashboard(
    "queues",
    "Motet: queues and delivery",
    "What waits, for how long, what was given up, and how much room the streams have.",
    [
        Row(
            "Calls",
            [
                Panel("Queued: pending and unacknowledged", {SKILL: f"max by ({CALLED}) (motet_calls_queued)"}),
                Panel("Age of the oldest", {SKILL: f"max by ({CALLED}) (motet_calls_oldest_age_seconds)"}, "s"),
                Panel("From publishing to the first attempt, p90", {SKILL: quantile(0.9, "motet_call_queue_wait_seconds", CALLED)}, "s"),
                Panel("Dead letters, by fault", {f"{SKILL} {{{{error_type}}}}": f"sum by ({CALLED}, error_type) (motet_dead_letters_total)"}, about="Since each process started."),
            ],
        ),
        Row(
            "Tasks",
            [
                Panel("Queued, by priority and tenant", {"{{motet_queue}} {{motet_priority}} {{motet_tenant}}": "max by (motet_queue, motet_priority, motet_tenant) (motet_tasks_queued)"}),
                Panel("Age of the oldest", {"{{motet_queue}} {{motet_priority}} {{motet_tenant}}": "max by (motet_queue, motet_priority, motet_tenant) (motet_tasks_oldest_age_seconds)"}, "s"),
            ],
        ),
        Row(
            "Room",
            [
                table("Dead letters that nobody replayed or dropped", f"max by ({CALLED}) (motet_dead_letters_kept)"),
                Panel("Streams: full to", {"{{motet_stream}}": "max by (motet_stream) (motet_stream_size_bytes) / max by (motet_stream) (motet_stream_limit_bytes)"}, "percentunit"),
                Panel("Streams: size", {"{{motet_stream}}": "max by (motet_stream) (motet_stream_size_bytes)"}, "bytes"),
                Panel("Streams: messages", {"{{motet_stream}}": "max by (motet_stream) (motet_stream_messages)"}),
            ],
        ),
        Row(
            "The telemetry itself",
            [
                Panel("Spans lost by services", {"{{job}}": "sum by (job) (motet_telemetry_spans_dropped_total)"}),
                Panel("Spans the collector took and passed on", {"taken": f"sum(rate(otelcol_receiver_accepted_spans_total{RATE}))", "to Jaeger": f"sum(rate(otelcol_exporter_sent_spans_total{RATE}))"}, "ops"),
            ],
        ),
    ],
)  # fmt: skip

MODELS = Dashboard(
    "models",
    "Motet: models, tokens and cost",
    "Which models are asked by whom, how long they take, and what they cost.",
    [
        Row(
            "Cost",
            [
                Panel("US dollars an hour, by model", {"{{gen_ai_request_model}}": f"3600 * {rate('motet_cost_total', 'gen_ai_request_model')}"}, "currencyUSD", stacked=True),
                Panel("US dollars an hour, by agent", {"{{motet_agent}}": f"3600 * {rate('motet_cost_total', 'motet_agent')}"}, "currencyUSD", stacked=True),
                Panel("Tokens read", {"{{gen_ai_request_model}}": rate("gen_ai_client_inference_usage_input_tokens_total", "gen_ai_request_model")}),
                Panel("Tokens written", {"{{gen_ai_request_model}}": rate("gen_ai_client_inference_usage_output_tokens_total", "gen_ai_request_model")}),
            ],
        ),
        Row(
            "Requests",
            [
                Panel("Requests", {"{{gen_ai_request_model}}": rate("gen_ai_client_inference_duration_seconds_count", "gen_ai_request_model")}, "ops"),
                Panel("Failed, by fault", {"{{gen_ai_request_model}} {{error_type}}": rate("gen_ai_client_inference_duration_seconds_count", "gen_ai_request_model, error_type", 'error_type!=""')}, "ops"),
                Panel("How long, p90", {"{{gen_ai_request_model}}": quantile(0.9, "gen_ai_client_inference_duration_seconds", "gen_ai_request_model")}, "s", about="A dot is a request: it opens its trace."),
                Panel("Answered by the cache, of all", {"cache": CACHE}, "percentunit"),
                Panel("Embeddings: requests", {"{{gen_ai_request_model}}": rate("gen_ai_client_embeddings_duration_seconds_count", "gen_ai_request_model")}, "ops"),
                Panel("Embeddings: tokens", {"{{gen_ai_request_model}}": rate("gen_ai_client_embeddings_operation_input_tokens_sum", "gen_ai_request_model")}),
            ],
        ),
    ],
)  # fmt: skip

QUALITY = Dashboard(
    "quality",
    "Motet: quality of answers",
    "Scores that the evaluator gave.",
    [
        Row(
            "Scores",
            [
                Panel("Mean", {"{{gen_ai_evaluation_name}}": f"{rate('motet_evaluation_score_sum', 'gen_ai_evaluation_name')} / {rate('motet_evaluation_score_count', 'gen_ai_evaluation_name')}"}, "percentunit"),
                Panel("Worst tenth", {"{{gen_ai_evaluation_name}}": quantile(0.1, "motet_evaluation_score", "gen_ai_evaluation_name")}, "percentunit"),
                Panel("Answers scored", {"{{gen_ai_evaluation_name}}": rate("motet_evaluation_score_count", "gen_ai_evaluation_name")}, "ops"),
                Panel("Scores that failed", {"{{gen_ai_evaluation_name}} {{error_type}}": rate("motet_evaluation_failures_total", "gen_ai_evaluation_name, error_type")}, "ops"),
            ],
        ),
    ],
)  # fmt: skip

_TENANT = 'motet_tenant=~"$tenant"'
TENANTS = Dashboard(
    "tenants",
    "Motet: tenants",
    "Who has what done. Past MOTET_METRICS_TENANTS, tenants are `other` together.",
    [
        Row(
            "Tasks",
            [
                Panel("Tasks that ended", {"{{motet_tenant}} {{motet_task_state}}": rate("motet_tasks_total", "motet_tenant, motet_task_state", _TENANT)}, "ops", stacked=True),
                Panel("From acceptance to end, p90", {"{{motet_tenant}}": quantile(0.9, "motet_task_duration_seconds", "motet_tenant", _TENANT)}, "s"),
                Panel("Waiting or running", {"{{motet_tenant}}": f'sum by (motet_tenant) (max by (motet_tenant, motet_priority) (motet_tasks_queued{{motet_queue="ready", {_TENANT}}}))'}),
                Panel("Failed or expired, of all", {"{{motet_tenant}}": share(rate("motet_tasks_total", "motet_tenant", f"{_TENANT}, {BAD}"), rate("motet_tasks_total", "motet_tenant", _TENANT))}, "percentunit"),
            ],
        ),
        Row(
            "Cost",
            [
                Panel("US dollars an hour", {"{{motet_tenant}}": f"3600 * {rate('motet_task_cost_total', 'motet_tenant', _TENANT)}"}, "currencyUSD", stacked=True),
                Panel("Tokens", {"{{motet_tenant}}": rate("motet_task_tokens_total", "motet_tenant", _TENANT)}, stacked=True),
            ],
        ),
    ],
    {"tenant": "label_values(motet_tasks_total, motet_tenant)"},
)  # fmt: skip

DASHBOARDS = (OVERVIEW, SKILLS, QUEUES, MODELS, QUALITY, TENANTS)


def text(dashboard: Dashboard) -> str:
    """A dashboard's file."""
    return json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in DASHBOARDS:
        (FOLDER / f"{each.name}.json").write_text(text(each), encoding="utf-8")
