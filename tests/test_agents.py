"""Adapters: the command lines they write, and what they read from how a program ended."""

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinery.agents import find
from refinery.agents.claude import ClaudeAgent
from refinery.agents.command import CommandAgent, fill
from refinery.agents.gemini import GeminiAgent
from refinery.core.agent import AgentRequest, AgentSettings, AgentStatus, CostSource, Finished
from refinery.core.result_file import ResultFileError, ResultStatus, parse_result
from refinery.errors import UsageError
from refinery.process import ProcessSpec, child_environment, run

REQUEST = AgentRequest(
    task="a {worktree} b",
    attempt=2,
    prompt="Do {this} — now",
    prompt_file=Path("/p/prompt.md"),
    worktree=Path("/w"),
    result_file=Path("/r/result.json"),
)
AGENTS = [ClaudeAgent(), GeminiAgent(), CommandAgent("stub", AgentSettings(command=("stub",)))]
REPORTING = AGENTS[:2]
CLAUDE_RESULT = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "num_turns": 7,
    "session_id": "s-1",
    "total_cost_usd": 0.25,
    "result": "All done.",
    "usage": {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 70,
        "server_tool_use": {"x": 1},
    },
}
GEMINI_RESULT = {
    "type": "result",
    "status": "success",
    "stats": {"total_tokens": 100, "input_tokens": 60, "output_tokens": 40, "cached": 5, "tool_calls": 2},
}
RESULTS = {"claude": CLAUDE_RESULT, "gemini": GEMINI_RESULT}


def ended(*events, **changes):
    tail = tuple(event if isinstance(event, str) else json.dumps(event) for event in events)
    return Finished(**{"exit_code": 0, "tail": tail, **changes})


def test_only_our_placeholders_are_replaced_and_only_once():
    """Braces of the template stay, and a task id that looks like a placeholder is not replaced again."""
    template = (
        'x {task} {attempt} {prompt_file} {worktree} {result_file} {other} {} {{task}} ${HOME} {"a": 1}'
    )
    assert fill(template, REQUEST) == (
        'x a {worktree} b 2 /p/prompt.md /w /r/result.json {other} {} {a {worktree} b} ${HOME} {"a": 1}'
    )


def test_command_agent_gets_prompt_and_names():
    """Argv from the template, the prompt on standard input, names in the environment, allowed names handed on."""
    settings = AgentSettings(command=("tool", "-t{task}"), arguments=("{attempt}",), environment=("TOOL_*",))
    command = CommandAgent("tool", settings).command(REQUEST)
    assert command.argv == ("tool", "-ta {worktree} b", "2")
    assert command.stdin.decode() == REQUEST.prompt
    assert command.allow == ("TOOL_*",)
    assert dict(command.env) == {
        "REFINERY_TASK": "a {worktree} b",
        "REFINERY_ATTEMPT": "2",
        "REFINERY_PROMPT_FILE": "/p/prompt.md",
        "REFINERY_RESULT_FILE": "/r/result.json",
    }


def test_a_command_agent_really_runs(tmp_path):
    """The command line works as written: a real program sees prompt, names and placeholders."""
    script = "import os, sys; print(sys.stdin.read(), os.environ['REFINERY_ATTEMPT'], sys.argv[1])"
    agent = CommandAgent("real", AgentSettings(command=(sys.executable, "-c", script, "{result_file}")))
    command = agent.command(REQUEST)
    output = []
    env = child_environment(os.environ, command.allow, command.env)
    spec = ProcessSpec(argv=command.argv, cwd=tmp_path, env=env, stdin=command.stdin)
    assert run(spec, on_output=output.append).succeeded
    assert b"".join(output).decode() == "Do {this} — now 2 /r/result.json\n"


def test_an_agent_without_a_command_is_a_usage_error():
    """A configured agent needs a command, and the message shows how to give one."""
    with pytest.raises(UsageError, match="has no command") as caught:
        CommandAgent("empty").command(REQUEST)
    assert "empty: {command:" in caught.value.remedy


def test_claude_with_a_login_keeps_the_repositorys_settings_out():
    """Without an API key: user settings only, no MCP servers but those given (none); the prompt never in argv."""
    settings = AgentSettings(model="opus", max_turns=30, max_budget_usd=2.5, arguments=("--effort", "high"))
    argv = ClaudeAgent("claude", settings).command(REQUEST).argv
    text = " ".join(argv)
    assert text.startswith("claude -p --output-format stream-json --verbose --permission-mode acceptEdits")
    assert "--setting-sources user --strict-mcp-config --mcp-config" in text
    assert "--bare" not in argv
    assert text.endswith("--model opus --max-turns 30 --max-budget-usd 2.5 --effort high")
    assert REQUEST.prompt not in text


def test_claude_with_an_api_key_runs_bare():
    """With a key in the environment nothing of the repository or the person is loaded."""
    request = AgentRequest(**{**as_dict(REQUEST), "known": frozenset({"ANTHROPIC_API_KEY"})})
    command = ClaudeAgent().command(request)
    assert "--bare" in command.argv
    assert "--setting-sources" not in command.argv
    assert "ANTHROPIC_API_KEY" in command.allow


def as_dict(request):
    return {name: getattr(request, name) for name in request.__slots__}


def test_gemini_command_line():
    """Non-interactive, every tool approved, JSON lines; the prompt on standard input, before the pointer to it."""
    command = GeminiAgent("gemini", AgentSettings(model="pro")).command(REQUEST)
    assert command.argv[:2] == ("gemini", "-p")
    assert command.argv[3:] == ("--approval-mode=yolo", "--skip-trust", "-o", "stream-json", "-m", "pro")
    assert command.stdin.decode() == REQUEST.prompt


def test_claude_success_is_recorded():
    """Turns, session, tokens by kind, the estimated cost and the last words."""
    result = ClaudeAgent().result(ended({"type": "system", "session_id": "s-1"}, CLAUDE_RESULT))
    assert result.status is AgentStatus.SUCCESS
    assert (result.session_id, result.turns, result.final_text) == ("s-1", 7, "All done.")
    assert result.tokens == {"input": 10, "output": 20, "cache_read": 70}
    assert (result.total_tokens, result.cost_usd, result.cost_source) == (100, 0.25, CostSource.ESTIMATED)


def test_gemini_success_is_recorded():
    """Tokens are reported, dollars are not; the answer is the sum of its pieces."""
    events = [
        {"type": "init", "session_id": "g-1"},
        {"type": "message", "role": "user", "content": "Do"},
        {"type": "message", "role": "assistant", "content": "All ", "delta": True},
        {"type": "message", "role": "assistant", "content": "done.", "delta": True},
    ]
    result = GeminiAgent().result(ended(*events, GEMINI_RESULT))
    assert result.status is AgentStatus.SUCCESS
    assert (result.session_id, result.final_text) == ("g-1", "All done.")
    assert result.tokens == {"input": 60, "output": 40, "cache_read": 5}
    assert (result.total_tokens, result.cost_usd, result.cost_source) == (100, None, CostSource.UNKNOWN)


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)
@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"exit_code": 1}, AgentStatus.FAILED, "exited with 1"),
        ({"exit_code": 127}, AgentStatus.FAILED, "did not run"),
        ({"exit_code": None, "signal": 9}, AgentStatus.FAILED, "ended by signal 9"),
        ({"exit_code": 0, "timed_out": True}, AgentStatus.TIMED_OUT, "time limit"),
        ({"exit_code": 0, "stopped": True}, AgentStatus.FAILED, "was stopped"),
        ({"exit_code": None, "start_error": "x was not found"}, AgentStatus.FAILED, "x was not found"),
    ],
)
def test_f10_a_bad_ending_is_a_failure_whatever_was_reported(agent, changes, status, words):
    """F10: exit code, signal, time-out and stop outweigh a glad result line, which is recorded all the same."""
    result = agent.result(ended(RESULTS.get(agent.name, "ok"), **changes))
    assert result.status is status
    assert words in result.reason
    if agent.name == "claude":
        assert (result.turns, result.cost_usd) == (7, 0.25)


PROSE = [
    "no changes needed",
    "Task completed successfully. No changes needed.",
    "I am blocked: which database?",
    '"type": "result", "subtype": "success"',
    "result: success",
]


@pytest.mark.parametrize("words", PROSE)
def test_f11_prose_decides_nothing(words):
    """F11: whatever an agent says, only its exit code and its structured line count."""
    command = AGENTS[2]
    assert command.result(ended(words)) == command.result(ended())
    for agent in REPORTING:
        assert agent.result(ended(words)).status is AgentStatus.FAILED
        told = agent.result(ended(words, RESULTS[agent.name]))
        assert told.status is AgentStatus.SUCCESS
    failing = {**CLAUDE_RESULT, "subtype": "error_max_turns", "result": words}
    assert ClaudeAgent().result(ended(failing)).status is AgentStatus.FAILED


@pytest.mark.parametrize("agent", REPORTING, ids=lambda agent: agent.name)
def test_a_missing_result_line_is_a_failure(agent):
    """Exit code 0 without a result line is no success; the session is kept for the record."""
    result = agent.result(ended({"type": "message", "role": "x", "session_id": "s-9"}, "bye"))
    assert result.status is AgentStatus.FAILED
    assert result.reason == "the agent ended without a result line"
    assert result.session_id == "s-9"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_error": True, "result": "API Error: 401"}, "API Error: 401"),
        ({"subtype": "error_max_turns", "is_error": True}, "used up its turns"),
        ({"subtype": "error_max_budget_usd"}, "used up its budget"),
        ({"subtype": "error_during_execution"}, "met an error"),
        ({"subtype": "something_new"}, "something_new"),
        ({"subtype": None}, "no subtype"),
    ],
)
def test_claude_result_lines_that_are_no_success(changes, words):
    """`success` with `is_error` is an error, and so is every subtype but `success`; what it cost is recorded."""
    result = ClaudeAgent().result(ended({**CLAUDE_RESULT, **changes}))
    assert result.status is AgentStatus.FAILED
    assert words in result.reason
    assert result.cost_usd == 0.25


@pytest.mark.parametrize(
    ("event", "code", "words"),
    [
        ({"status": "error", "error": {"type": "x", "message": "quota exceeded"}}, 0, "quota exceeded"),
        ({"status": "error"}, 0, "without a message"),
        ({}, 41, "not logged in"),
        ({}, 53, "used up its turns"),
        ({"status": "error", "error": {"message": "boom"}}, 1, "boom"),
    ],
)
def test_gemini_failures_name_their_cause(event, code, words):
    """The documented exit codes and the error of the result line become the reason."""
    result = GeminiAgent().result(ended({**GEMINI_RESULT, **event}, exit_code=code))
    assert result.status is AgentStatus.FAILED
    assert words in result.reason


@pytest.mark.parametrize("agent", REPORTING, ids=lambda agent: agent.name)
def test_noise_around_the_result_line_is_skipped(agent):
    """Terminal sequences, warnings, broken JSON, other JSON and later lines do not hide a result."""
    line = "\x1b[2K\x1b]0;title\x07\x1b[32m" + json.dumps(RESULTS[agent.name]) + "\x1b[0m\r"
    noise = ["(node:1) Warning", '{"type": "resu', "[1, 2]", "null", "{" * 20_000, '{"type": 7}']
    assert agent.result(ended(*noise, line, *noise)).status is AgentStatus.SUCCESS


@pytest.mark.parametrize("agent", REPORTING, ids=lambda agent: agent.name)
@given(
    junk=st.dictionaries(
        st.sampled_from(
            [
                "type",
                "subtype",
                "status",
                "usage",
                "stats",
                "error",
                "result",
                "num_turns",
                "total_cost_usd",
                "role",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats()
            | st.integers()
            | st.sampled_from(["result", "success", "x"]),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from(["input_tokens", "message"]), inner)
            ),
            max_leaves=4,
        ),
    )
)
def test_any_json_is_survived(agent, junk):
    """No shape of a line raises, and no count comes out that is not one."""
    result = agent.result(ended(json.dumps(junk)))
    assert all(isinstance(count, int) and count >= 0 for count in result.tokens.values())
    assert result.cost_usd is None or 0 <= result.cost_usd < float("inf")


@pytest.mark.parametrize("odd", [-1, True, "5", 1.5, None, [1]])
def test_what_counts_nothing_is_not_recorded(odd):
    """A number of tokens or turns is a whole number from 0; anything else is left out, and so is an odd cost."""
    report = {**CLAUDE_RESULT, "num_turns": odd, "total_cost_usd": -1, "usage": {"input_tokens": odd}}
    result = ClaudeAgent().result(ended(report))
    assert (result.turns, result.tokens, result.total_tokens) == (None, {}, None)
    assert (result.cost_usd, result.cost_source) == (None, CostSource.UNKNOWN)


def test_agents_are_found_by_name():
    """Built-in ones, adjusted built-in ones and configured ones."""
    own = {"stub": AgentSettings(command=("x",)), "claude": AgentSettings(model="opus")}
    assert isinstance(find("gemini", {}), GeminiAgent)
    assert isinstance(find("stub", own), CommandAgent)
    adjusted = find("claude", own)
    assert isinstance(adjusted, ClaudeAgent)
    assert adjusted.settings.model == "opus"


def test_an_unknown_agent_is_named_with_a_suggestion():
    """The message suggests the nearest name and lists all."""
    with pytest.raises(UsageError, match="did you mean 'claude'") as caught:
        find("cluade", {"stub": AgentSettings()})
    assert "claude, gemini, stub" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"status": "done"}', (ResultStatus.DONE, "", "", "")),
        (
            '{"status": "done", "title": " A\\n title ", "summary": " s "}',
            (ResultStatus.DONE, "", "s", "A title"),
        ),
        ('{"status": "blocked", "question": "Q?", "reason": "r"}', (ResultStatus.BLOCKED, "Q?", "", "")),
        ('{"status": "blocked", "reason": "r"}', (ResultStatus.BLOCKED, "r", "", "")),
        (
            '\ufeff{"status": "no-changes", "reason": "there already"}',
            (ResultStatus.NO_CHANGES, "there already", "", ""),
        ),
    ],
)
def test_result_files_say(text, expected):
    """The three statuses, with their texts trimmed; a question comes before a reason."""
    found = parse_result(text.encode())
    assert (found.status, found.reason, found.summary, found.title) == expected


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"done", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 30_000, "is not JSON"),
        (b'{"status": "done", "status": "blocked"}', "stands there twice"),
        (b'["done"]', "does not hold a JSON object"),
        (b'{"status": "done", "merge": true}', "unknown key 'merge'"),
        (b'{"status": "finished"}', "status 'finished'"),
        (b"{}", "status 'None'"),
        (b'{"status": ["done"]}', "status"),
        (b'{"status": "done", "summary": 7}', "'summary' that is not a text"),
        (b'{"status": "done", "title": null}', "'title' that is not a text"),
        (b'{"status": "blocked"}', "without a question"),
        (b'{"status": "blocked", "question": "  "}', "without a question"),
        (b'{"status": "done"}' + b" " * 65_536, "larger than 64 KiB"),
    ],
)
def test_result_files_that_say_nothing_usable(raw, words):
    """Everything outside the schema is an error with its reason, never a guess."""
    with pytest.raises(ResultFileError, match=words):
        parse_result(raw)


@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_break_the_result_parser(raw):
    """Any bytes are a result or a ResultFileError."""
    try:
        found = parse_result(raw)
    except ResultFileError:
        return
    assert found.status in ResultStatus
