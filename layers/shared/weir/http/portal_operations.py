"""The operations that Maitai's command line knows (maitai-cli 0.1.68, all 389) and Weir does not offer.

They answer 501 instead of 404, so that who calls one learns that it is Weir that lacks it, not the id that is wrong.
"""

from collections.abc import Iterator
from functools import lru_cache

_OPERATIONS = """
GET,POST /agents
GET,PUT,PATCH,DELETE /agents/actions/{action_id}
PUT /agents/actions/{action_id}/disable
PUT /agents/actions/{action_id}/enable
POST /agents/actions/{action_id}/publish
GET /agents/actions/{action_id}/versions
POST /agents/actions/{action_id}/versions/{version}/restore
POST /agents/import
GET /agents/supplied-actions
GET /agents/tasks/{task_id}/tree
GET,PUT,PATCH,DELETE /agents/{agent_id}
GET,POST /agents/{agent_id}/actions
POST /agents/{agent_id}/actions/supplied/{catalog_action_id}
GET,PUT,DELETE /agents/{agent_id}/form-fields
GET /agents/{agent_id}/invocations/{task_id}
POST /agents/{agent_id}/invoke
POST /agents/{agent_id}/publish
GET /agents/{agent_id}/releases
PUT,DELETE /agents/{agent_id}/releases/{name}
GET,PUT /agents/{agent_id}/routing/config
GET /agents/{agent_id}/routing/results/{routing_result_id}
POST /agents/{agent_id}/routing/rules
PUT,DELETE /agents/{agent_id}/routing/rules/{rule_id}
PUT /agents/{agent_id}/routing/rules/{rule_id}/reorder
POST /agents/{agent_id}/routing/rules/{rule_id}/test
GET /agents/{agent_id}/sessions
GET /agents/{agent_id}/sessions/{session_id}
GET /agents/{agent_id}/sessions/{session_id}/timeline
GET /agents/{agent_id}/status
GET,POST /agents/{agent_id}/subagents
DELETE /agents/{agent_id}/subagents/{child_agent_id}
PUT /agents/{agent_id}/subagents/{child_agent_id}/disable
PUT /agents/{agent_id}/subagents/{child_agent_id}/enable
GET /agents/{agent_id}/system-steps
GET,PUT,DELETE /agents/{agent_id}/system-steps/{step}/config
PUT /agents/{agent_id}/system-steps/{step}/disable
PUT /agents/{agent_id}/system-steps/{step}/enable
GET,PUT,DELETE /agents/{agent_id}/system-steps/{step}/prompt
GET /agents/{agent_id}/tasks/{task_id}/timeline
GET /agents/{agent_id}/versions
GET /agents/{agent_id}/versions/diff
GET /agents/{agent_id}/versions/{version}
POST /agents/{agent_id}/versions/{version}/restore
GET /analytics/agents/{agent_id}/requests
PUT,DELETE /applications/{application_id}
DELETE /applications/{application_id}/intents/{intent_id}
PUT /applications/{application_id}/intents/{intent_id}/notifications/disable
PUT /applications/{application_id}/intents/{intent_id}/notifications/enable
GET /applications/{application_id}/workflow-runs
GET,POST /compositions
GET /compositions/applications/{application_id}/intents/{intent_id}
GET /compositions/intent-groups/{intent_group_id}
POST /compositions/validate-rl
GET,PUT,DELETE /compositions/{composition_id}
GET /compositions/{composition_id}/versions
GET /conversation-trees
GET,DELETE /conversation-trees/{tree_id}
GET /conversation-trees/{tree_id}/status
GET /conversation-trees/{tree_id}/versions
GET /dashboard/action-items
GET /dashboard/alerts
GET,POST /datasets
GET /datasets/applications/{application_id}/intents/{intent_id}
GET /datasets/by-tags
GET /datasets/estimated-request-count
POST /datasets/generate
POST /datasets/generate/estimate-cost
POST /datasets/generate/preview
GET /datasets/intent-groups/{intent_group_id}
GET /datasets/s3/syncer-info
POST /datasets/s3/validate
GET /datasets/tags/valid
GET /datasets/test-sets/{test_set_id}
GET,PUT,DELETE /datasets/{dataset_id}
POST /datasets/{dataset_id}/added-requests/search
POST /datasets/{dataset_id}/clone
GET /datasets/{dataset_id}/delete-impact
GET /datasets/{dataset_id}/eligible-requests
POST /datasets/{dataset_id}/eligible-requests/search
POST /datasets/{dataset_id}/generate/cancel
POST /datasets/{dataset_id}/generate/pause
POST /datasets/{dataset_id}/generate/resume
GET /datasets/{dataset_id}/prompt
POST /datasets/{dataset_id}/prune/apply
POST /datasets/{dataset_id}/prune/preview
POST /datasets/{dataset_id}/reasoning/augment
POST /datasets/{dataset_id}/regex-replacements
POST /datasets/{dataset_id}/regex-replacements/count
GET /datasets/{dataset_id}/request-distribution
GET /datasets/{dataset_id}/request-ids
GET,POST,DELETE /datasets/{dataset_id}/requests
PUT /datasets/{dataset_id}/requests/add
PUT /datasets/{dataset_id}/requests/remove
GET /datasets/{dataset_id}/requests/{request_id}/reasoning
POST /datasets/{dataset_id}/s3/cancel
POST /datasets/{dataset_id}/s3/reimport
POST /datasets/{dataset_id}/sample-clone
GET /datasets/{dataset_id}/status
GET,POST,PUT /datasets/{dataset_id}/tags
DELETE /datasets/{dataset_id}/tags/{tag}
GET /datasets/{dataset_id}/versions
GET,POST /evaluation-criteria
GET /evaluation-criteria/available
PUT,DELETE /evaluation-criteria/{criteria_id}
GET,POST /evaluations
GET /evaluations/{evaluation_run_id}
GET /evaluations/{evaluation_run_id}/results
POST /external-test-runs
GET /external-test-runs/{test_run_id}/next
POST /external-test-runs/{test_run_id}/{case_hash}/result
GET,POST /finetune-runs
POST /finetune-runs/estimate
GET /finetune-runs/{run_id}
POST /finetune-runs/{run_id}/cancel
POST /finetune-runs/{run_id}/deploy
POST /finetune-runs/{run_id}/deploy/cancel
GET /finetune-runs/{run_id}/metrics
GET /finetune-runs/{run_id}/status
POST /help
GET /intent-groups/{intent_group_id}/compositions
GET /intent-groups/{intent_group_id}/datasets
GET /intent-groups/{intent_group_id}/sentinels
GET /intent-groups/{intent_group_id}/test-sets
POST /models/base-model
POST /models/{model_id}/disable
POST /models/{model_id}/enable
GET /models/{model_id}/inference-pool
POST /models/{model_id}/inference-pool/attach
GET /models/{model_id}/inference-pool/attach-candidates
GET /models/{model_id}/inference-pool/debug
POST /models/{model_id}/inference-pool/detach
PATCH /models/{model_id}/registry
POST /models/{model_id}/repoint
GET /models/{model_id}/repoint-options
POST /models/{model_id}/swap-model-ref/execute
POST /models/{model_id}/swap-model-ref/preview
GET,POST /monitors
GET /monitors/by-target
GET /monitors/runs
GET /monitors/runs/by-source
GET /monitors/runs/{run_id}
GET /monitors/sample-target
GET,PUT,PATCH,DELETE /monitors/{monitor_id}
POST /monitors/{monitor_id}/activate
GET /monitors/{monitor_id}/activity
GET /monitors/{monitor_id}/metrics
GET /monitors/{monitor_id}/metrics/by-target
POST /monitors/{monitor_id}/pause
POST /monitors/{monitor_id}/preview
GET,POST,PUT /monitors/{monitor_id}/releases
GET /monitors/{monitor_id}/releases/default
DELETE /monitors/{monitor_id}/releases/{release_name}
POST /monitors/{monitor_id}/releases/{release_name}/promote
GET /monitors/{monitor_id}/runs
GET /monitors/{monitor_id}/runs/{run_id}
GET,POST /monitors/{monitor_id}/targets
PUT,PATCH,DELETE /monitors/{monitor_id}/targets/{monitor_target_id}
POST /monitors/{monitor_id}/targets/{monitor_target_id}/disable
POST /monitors/{monitor_id}/targets/{monitor_target_id}/enable
GET /monitors/{monitor_id}/targets/{monitor_target_id}/metrics
GET /monitors/{monitor_id}/targets/{monitor_target_id}/sparkline
GET,POST /monitors/{monitor_id}/versions
GET /monitors/{monitor_id}/versions/{version_id}
POST /search
GET,POST /sentinels
GET /sentinels/applications/{application_id}
GET /sentinels/applications/{application_id}/human-needs
POST /sentinels/generate
POST /sentinels/generate/new
GET /sentinels/intent-groups/by-name/{intent_name}
GET /sentinels/intent-groups/{intent_group_id}
POST /sentinels/regenerate
GET /sentinels/simple
GET,PUT,DELETE /sentinels/{sentinel_id}
PUT /sentinels/{sentinel_id}/directive
POST /sentinels/{sentinel_id}/regenerate
POST /sentinels/{sentinel_id}/regenerate/correction
POST /sentinels/{sentinel_id}/regenerate/evaluation
POST /sentinels/{sentinel_id}/regenerate/qualification
GET,POST /test-runs
POST /test-runs/compare
GET /test-runs/intent-groups/{intent_group_id}
GET /test-runs/requests/compare/{base_request_id}/{compare_request_id}
GET /test-runs/test-sets/{test_set_id}
GET /test-runs/test-sets/{test_set_id}/progress
GET,DELETE /test-runs/{test_run_id}
POST /test-runs/{test_run_id}/evaluate
GET /test-runs/{test_run_id}/items
PUT /test-runs/{test_run_id}/items/{item_id}
GET /test-runs/{test_run_id}/progress
POST /test-runs/{test_run_id}/re-evaluate
GET /test-runs/{test_run_id}/requests
POST /test-runs/{test_run_id}/requests/{offset}/{limit}
POST /test-runs/{test_run_id}/requests/{test_run_request_id}/evaluate
GET /test-runs/{test_run_id}/results
POST /test-runs/{test_run_id}/resume
POST /test-runs/{test_run_id}/retry
GET /test-runs/{test_run_id}/review-segments
PUT /test-runs/{test_run_id}/status/{status}
POST /test-runs/{test_run_id}/stop
GET /test-set-jobs/{job_id}
GET,POST /test-sets
GET /test-sets/applications/{application_id}/intents/{intent_id}
POST /test-sets/convert-to-workflow
POST /test-sets/convert-workflow-to-requests
GET /test-sets/datasets/{dataset_id}
GET /test-sets/datasets/{dataset_id}/source
GET /test-sets/eligible-requests/{intent_group_id}/{test_set_id}
POST /test-sets/eligible-requests/{intent_group_id}/{test_set_id}/search
GET /test-sets/intent-groups/by-name/{intent_group_name}
GET /test-sets/intent-groups/{intent_group_id}
PUT /test-sets/request/add
DELETE /test-sets/request/remove
PUT /test-sets/requests/add
PUT /test-sets/requests/remove
GET,PUT,DELETE /test-sets/{test_set_id}
POST /test-sets/{test_set_id}/clone
GET /test-sets/{test_set_id}/imported-session-ids
GET,POST,DELETE /test-sets/{test_set_id}/items
DELETE /test-sets/{test_set_id}/items/{item_id}
GET,PUT,DELETE /test-sets/{test_set_id}/items/{item_id}/response-sub
GET /test-sets/{test_set_id}/prompt-template
GET /test-sets/{test_set_id}/request-distribution
GET,POST,DELETE /test-sets/{test_set_id}/requests
PUT /test-sets/{test_set_id}/requests/{request_id}/response
PUT /test-sets/{test_set_id}/requests/{request_id}/tags
GET /test-sets/{test_set_id}/sessions
GET,POST /unified-test-runs
POST /unified-test-runs/preview-adapted-input
GET,DELETE /unified-test-runs/{test_run_id}
POST /unified-test-runs/{test_run_id}/cancel
POST /unified-test-runs/{test_run_id}/execute
GET /unified-test-runs/{test_run_id}/items
POST /unified-test-runs/{test_run_id}/prepare
GET /unified-test-runs/{test_run_id}/progress
POST /unified-test-runs/{test_run_id}/reset-failed
POST /unified-test-runs/{test_run_id}/score
GET,POST /unified-test-sets
POST /unified-test-sets/upload
GET,PATCH /unified-test-sets/{test_set_id}
POST /unified-test-sets/{test_set_id}/clone
POST /unified-test-sets/{test_set_id}/import-agent-task
POST /unified-test-sets/{test_set_id}/import-request
POST /unified-test-sets/{test_set_id}/import-workflow-run
GET,POST /unified-test-sets/{test_set_id}/items
GET,DELETE /unified-test-sets/{test_set_id}/items/{item_id}
PUT /unified-test-sets/{test_set_id}/items/{item_id}/expected-output-override
GET,POST /workflows
POST /workflows/chat/completions
GET /workflows/default-script
GET /workflows/runs
PUT /workflows/runs/log
GET /workflows/runs/{session_id}
POST /workflows/upload
POST /workflows/validate
GET,PUT,DELETE /workflows/{workflow_id}
POST,DELETE /workflows/{workflow_id}/accessories
GET /workflows/{workflow_id}/artifact-files
GET /workflows/{workflow_id}/datastores
POST,DELETE /workflows/{workflow_id}/datastores/{name}
POST /workflows/{workflow_id}/datastores/{name}/upload
GET /workflows/{workflow_id}/has-transforms
GET,POST /workflows/{workflow_id}/releases
POST /workflows/{workflow_id}/releases/clear-default
PUT,DELETE /workflows/{workflow_id}/releases/{name}
GET /workflows/{workflow_id}/schema
GET /workflows/{workflow_id}/script
GET /workflows/{workflow_id}/transform-info
POST /workflows/{workflow_id}/transform-preview
GET,POST /workflows/{workflow_id}/versions
GET /workflows/{workflow_id}/versions/{version_number}/artifact-files
"""
"""Methods and path below `/api/v1`; a part in braces stands for any text without a slash."""


def not_offered() -> Iterator[tuple[str, str]]:
    """Method and path of each."""
    for line in _OPERATIONS.strip().splitlines():
        methods, path = line.split(" ")
        for method in methods.split(","):
            yield method, path


def resources() -> tuple[str, ...]:
    """The first parts of their paths."""
    return tuple(sorted({path.split("/")[1] for _, path in not_offered()}))


def is_not_offered(method: str, path: str) -> bool:
    """Whether one of them has that method and fits that path, which begins below `/api/v1`."""
    parts = tuple(path.strip("/").split("/"))
    return any(_fits(pattern, parts) for pattern in _patterns().get((method, len(parts)), ()))


@lru_cache(maxsize=1)
def _patterns() -> dict[tuple[str, int], list[tuple[str, ...]]]:
    found: dict[tuple[str, int], list[tuple[str, ...]]] = {}
    for method, path in not_offered():
        parts = tuple(path.strip("/").split("/"))
        found.setdefault((method, len(parts)), []).append(parts)
    return found


def _fits(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return all(part == wanted or (wanted.startswith("{") and part) for wanted, part in zip(pattern, parts, strict=True))
