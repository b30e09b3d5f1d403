"""How does a report look to a person? Pure: one HTML page that needs nothing from anywhere else."""

from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --pass: #2a8f4f; --warning: #b07a00; --failure: #c2362f; --skipped: #888 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .7rem; vertical-align: top;
border-bottom: 1px solid var(--line) } th { font-weight: 600 }
details { border-bottom: 1px solid var(--line); padding: .35rem 0 } summary { cursor: pointer }
.word { font-weight: 600; display: inline-block; min-width: 5.5rem } .says, .about { opacity: .75 }
.pass { color: var(--pass) } .warning { color: var(--warning) } .failure { color: var(--failure) }
.skipped { color: var(--skipped) } td:first-child { white-space: nowrap } td.about { overflow-wrap: anywhere }
.approved { color: var(--pass) } .conditionally-approved, .skipped-some { color: var(--warning) }
.not-approved { color: var(--failure) }
"""
_SENTENCES = {
    "approved": "Everything was tested, and everything is as it should be.",
    "conditionally-approved": "Nothing failed. What has a warning works, and does not keep every promise.",
    "not-approved": "Something failed: mend it before you rely on this cluster.",
    "skipped-some": "Nothing failed, but not every test was made.",
}


def html_of(report: Mapping[str, Any]) -> str:
    """The page for one report (`report_view`). What comes from the cluster is escaped."""
    title = f"Validation of {report['cluster']}"
    outcome = str(report["outcome"])
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}: <span class={_class(outcome)}>{escape(outcome)}</span></h1>",
        f"<p>{escape(_SENTENCES.get(outcome, ''))}</p>",
        f"<p class=about>Nodes {escape(', '.join(report['nodes']))}; asked {escape(str(report['asked']))}, "
        f"from {escape(str(report['began']))} to {escape(str(report['ended']))}.</p>",
        _summary(report),
    ]
    for each in report["summary"]:
        tests = [test for test in report["tests"] if test["category"] == each["category"]]
        parts.append(f"<h2 id={_class(each['category'])}>{escape(_heading(each['category']))}</h2>")
        parts += [_test(test) for test in tests]
    return "\n".join([*parts, "</body></html>", ""])


def _summary(report: Mapping[str, Any]) -> str:
    verdicts = ("pass", "warning", "failure", "skipped")
    rows = []
    for each in report["summary"]:
        counts = "".join(f"<td>{int(each['counts'][verdict]) or ''}</td>" for verdict in verdicts)
        link = f"<a href={_class('#' + each['category'])}>{escape(_heading(each['category']))}</a>"
        rows.append(f"<tr><td>{link}</td><td>{_word(each['verdict'])}</td>{counts}</tr>")
    head = "".join(f"<th>{word}</th>" for word in ("category", "result", *verdicts))
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _test(test: Mapping[str, Any]) -> str:
    is_open = " open" if test["verdict"] in ("warning", "failure") else ""
    rows = "".join(_finding(each) for each in test["findings"]) or "<tr><td>nothing to look at</td></tr>"
    if test["verdict"] == "skipped":
        rows = "<tr><td>this test was not made</td></tr>"
    return (
        f"<details{is_open}><summary>{_word(test['verdict'])} {escape(test['title'])} "
        f"<span class=says>{escape(test['name'])}</span></summary>"
        f"<p class=says>{escape(test['says'])}</p><table>{rows}</table></details>"
    )


def _finding(found: Mapping[str, Any]) -> str:
    advice = f"<br><span class=says>→ {escape(found['advice'])}</span>" if found["advice"] else ""
    return (
        f"<tr><td>{_word(found['verdict'])}</td><td class=about>{escape(found['about'] or 'cluster')}</td>"
        f"<td>{escape(found['saw'])}{advice}</td></tr>"
    )


def _word(verdict: str) -> str:
    return f"<span class={_class('word ' + verdict)}>{escape(verdict)}</span>"


def _class(text: str) -> str:
    return f'"{escape(text, quote=True)}"'


def _heading(category: str) -> str:
    return category.replace("-", " ").capitalize()
