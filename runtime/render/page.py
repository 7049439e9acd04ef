"""The report's page: one file, nothing loaded from anywhere, light or dark as the reader has it."""

from __future__ import annotations

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="edgeirf $version">
<title>$title</title>
<style>
:root {
  --page: #f6f7f8; --card: #ffffff; --text: #16191d; --soft: #5a636e; --line: #d9dee3;
  --good: #2a6fb5; --bad: #d8690e; --alarm: #b3261e; --fine: #1d7a46;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #121519; --card: #1b2026; --text: #e9edf1; --soft: #9aa5b1; --line: #323a43;
    --good: #6cace8; --bad: #f2994a; --alarm: #ff8a80; --fine: #6fd19a;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 17px/1.5 system-ui, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 1.45rem; margin: 56px 0 4px; }
h3 { font-size: 1.1rem; margin: 36px 0 2px; }
p { margin: 0 0 12px; max-width: 46em; }
.soft, figcaption, footer { color: var(--soft); }
.keys { display: grid; grid-template-columns: repeat(auto-fit, minmax(172px, 1fr)); gap: 14px; margin: 22px 0; }
.key, .plot, .table, .panel { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.key { padding: 14px 18px; }
.key b { display: block; font-size: 1.75rem; line-height: 1.3; font-weight: 650; white-space: nowrap; }
.key span { color: var(--soft); font-size: 0.9rem; display: block; line-height: 1.35; }
.alarm { color: var(--alarm); }
.fine { color: var(--fine); }
.plots { display: grid; grid-template-columns: minmax(0, 2.18fr) minmax(0, 1fr); gap: 14px; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; margin-top: 10px; }
.plot { margin: 0; padding: 16px 18px 12px; }
.plot svg { width: 100%; height: auto; display: block; margin-top: 6px; }
figcaption { font-size: 0.9rem; }
.table { overflow-x: auto; padding: 4px 18px; margin: 14px 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 8px 7px; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: 0.9rem; }
tr:last-child td, tr:last-child th { border-bottom: 0; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th small { display: block; }
td small { display: block; color: var(--soft); }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(440px, 1fr)); gap: 14px; margin-top: 10px; }
.panel { padding: 12px; break-inside: avoid; margin: 0; }
.panel div { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; }
.panel img { width: 100%; display: block; border-radius: 4px; background: #000; aspect-ratio: 1; object-fit: contain; }
.panel figcaption { margin-top: 8px; display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 16px; }
.panel figcaption b { color: var(--text); font-weight: 600; overflow-wrap: anywhere; }
.scale { display: flex; align-items: center; gap: 12px; font-size: 0.9rem; color: var(--soft); margin-top: 30px; }
.scale i { display: block; width: 230px; height: 14px; border-radius: 3px; background: linear-gradient(90deg, $turbo); }
footer { margin-top: 56px; border-top: 1px solid var(--line); padding-top: 16px; font-size: 0.9rem; }
svg text { fill: var(--soft); font: 14px system-ui, sans-serif; }
svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--soft); }
svg .threshold { stroke: var(--text); stroke-width: 1.5; stroke-dasharray: 5 4; }
svg .rug { stroke: var(--good); stroke-width: 1.5; opacity: 0.55; }
svg .good { fill: var(--good); }
svg .bad { fill: var(--bad); }
svg text.good, svg text.bad { font-weight: 600; }
svg .roc { fill: none; stroke: var(--good); stroke-width: 3; stroke-linejoin: round; }
svg .held { fill: var(--good); opacity: 0.12; }
svg .at { fill: var(--bad); stroke: var(--card); stroke-width: 2; }
@media (max-width: 760px) { .plots, .panels { grid-template-columns: 1fr; } }
@media print { body { background: #fff; } main { max-width: none; } }
</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")
