/*
 * dashboard.cpp - the page at "/": lists what the anonymous role may read, and
 * shows a view's rows as they change.
 *
 * One string, no file to install. All values enter the page as text, never as
 * markup.
 */
#include "gateway/dashboard.hpp"

namespace tw::gateway
{

static const char kPage[] = R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tailwater</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2733; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #dfe5ec; vertical-align: top; }
td { font-family: ui-monospace, monospace; word-break: break-word; }
button { font: inherit; border: 1px solid #b9c5d2; border-radius: 4px; background: #f4f7fa; cursor: pointer; padding: .1rem .6rem; }
tr.new td { background: #e5f6e8; }
#state { color: #5b6b7c; }
@media (prefers-color-scheme: dark) { body { color: #dbe3ec; background: #141a21; } th, td { border-color: #2b3643; } button { color: inherit; background: #222c37; border-color: #3a4856; } tr.new td { background: #17361f; } }
</style>
<h1>tailwater</h1>
<p id="state">loading</p>
<h2>Views</h2><table id="views"></table>
<h2>Endpoints</h2><table id="endpoints"></table>
<section id="live" hidden><h2 id="title"></h2><table id="rows"></table></section>
<p><a href="/metrics">metrics</a> <a href="/healthz">health</a></p>
<script>
const $ = id => document.getElementById(id);
const cell = (row, text, tag = 'td') => { const c = document.createElement(tag); c.textContent = text; row.append(c); return c; };
const show = v => v === null ? '' : typeof v === 'object' ? JSON.stringify(v) : String(v);
let socket;

function watch(url, first, title) {
	socket?.close();
	const ws = socket = new WebSocket(url, 'tailwater.v1');
	let rows = new Map(), building = [], key = null, columns = [], pending = [], n = 0;
	const keyOf = row => key ? JSON.stringify(key.map(k => row[k])) : 'row ' + n++;
	const render = changed => {
		const table = $('rows');
		table.replaceChildren();
		const head = table.insertRow();
		columns.forEach(c => cell(head, c, 'th'));
		let shown = 0;
		for (const [k, row] of rows) {
			if (++shown > 500) break;
			const tr = table.insertRow();
			if (changed.has(k)) tr.className = 'new';
			columns.forEach(c => cell(tr, show(row[c])));
		}
		$('state').textContent = rows.size + ' rows' + (rows.size > 500 ? ', the first 500 shown' : '');
	};
	$('live').hidden = false;
	$('title').textContent = title;
	ws.onopen = () => first && ws.send(JSON.stringify(first));
	ws.onclose = e => { if (ws === socket) $('state').textContent = 'closed: ' + e.code + ' ' + e.reason; };
	ws.onmessage = e => {
		const m = JSON.parse(e.data);
		if (m.type === 'subscribed') { key = m.key; columns = m.schema.map(c => c.name); }
		if (m.type === 'snapshot') {
			building.push(...m.rows);
			if (!m.more) { rows = new Map(building.map(r => [keyOf(r), r])); building = []; render(new Set()); }
		}
		if (m.type === 'delta') {
			pending.push(...m.changes);
			if (m.more) return;
			const changed = new Set();
			for (const [op, a, b] of pending) {
				if (op === '+') { rows.set(keyOf(a), a); changed.add(keyOf(a)); }
				else if (op === '-') rows.delete(JSON.stringify(a));
				else if (op === '~') { const k = JSON.stringify(a); rows.set(k, { ...rows.get(k), ...b }); changed.add(k); }
				else for (let i = 0; i < Math.abs(op); i++) {
					if (op > 0) { const k = keyOf(a); rows.set(k, a); changed.add(k); continue; }
					const text = JSON.stringify(a);
					for (const [k, r] of rows) if (JSON.stringify(r) === text) { rows.delete(k); break; }
				}
			}
			pending = [];
			render(changed);
		}
		if (m.type === 'error') $('state').textContent = m.code + ': ' + m.message;
		if (m.type === 'complete') $('state').textContent = 'complete: ' + m.reason;
	};
}

const base = location.origin.replace(/^http/, 'ws');
fetch('/v1/views').then(async answer => {
	const list = await answer.json();
	if (!answer.ok) { $('state').textContent = list.message; return; }
	$('state').textContent = list.views.length + ' views, ' + list.endpoints.length + ' endpoints';
	for (const v of list.views) {
		const tr = $('views').insertRow();
		cell(tr, v.view);
		const b = document.createElement('button');
		b.textContent = 'watch';
		b.onclick = () => watch(base + '/v1/stream', { type: 'subscribe', id: '1', view: v.view }, v.view);
		cell(tr, '').append(b);
	}
	for (const p of list.endpoints) {
		const tr = $('endpoints').insertRow();
		cell(tr, p.path); cell(tr, p.view); cell(tr, p.filter ? JSON.stringify(p.filter) : '');
		const b = document.createElement('button');
		b.textContent = 'watch';
		b.onclick = () => {
			const query = JSON.stringify(p.filter ?? '').includes('"param"') ? prompt('arguments, for example channel=cats') ?? '' : '';
			watch(base + p.path + (query ? '?' + query : ''), null, p.path);
		};
		cell(tr, '').append(b);
	}
}).catch(e => { $('state').textContent = String(e); });
</script>
</html>
)page";

const char *
dashboard_page()
{
	return kPage;
}

} // namespace tw::gateway
