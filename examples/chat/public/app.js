/**
 * app.js - the chat page: two live views, drawn.
 *
 * Nothing is drawn because somebody pressed a button: what is written goes to server.mjs, into the
 * database, and comes back as a change of a live view like everybody else's. The page holds no state
 * but which room is open and whose name is written under.
 */
import { connect } from './client/index.js';
import { writer } from './config.js';

const $ = (id) => document.getElementById(id);
const socketUrl = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/v1/stream`;

const db = connect(socketUrl, { backoff: { min: 200, max: 5000 } });
const rooms = db.subscribe('chat_room');
let open = null; // {id, feed}: the room that is shown, and its live view

// ---- connection ----

const kStatusText = { connecting: 'connecting', open: 'live', waiting: 'offline, trying again', closed: 'closed' };

function drawStatus(status, details = {}) {
	$('status').dataset.status = status;
	$('status-text').textContent = kStatusText[status];
	$('status').title = details.reason ?? '';
}
db.on('status', drawStatus);
drawStatus(db.status);

/** How long after its commit a change was here; both clocks are this machine's in the demo. */
db.on('unit', ({ ts }) => {
	const ms = Date.now() - Date.parse(ts);
	if (ms >= 0 && ms < 10_000) $('status-text').textContent = `live · ${Math.max(1, Math.round(ms))} ms after commit`;
});

// ---- rooms ----

/** A colour by name; the golden angle keeps near names apart. */
const hue = (name) => Math.round([...name].reduce((sum, c) => sum + c.codePointAt(0), 0) * 137.508) % 360;

function drawAvatar(element, name) {
	element.textContent = name.slice(0, 1).toUpperCase();
	element.style.setProperty('--hue', hue(name));
}

function fromTemplate(id) {
	return $(id).content.firstElementChild.cloneNode(true);
}

/** Restarts the animation that shows what has just changed. */
function flash(element) {
	element.classList.remove('changed');
	void element.offsetWidth;
	element.classList.add('changed');
}

/** Brings `list` to hold one item per row, in order; reuses the items that are there. */
function drawList(list, rows, key, make, fill) {
	const items = new Map([...list.children].map((item) => [item.dataset.key, item]));
	rows.forEach((row, i) => {
		const name = row[key];
		const item = items.get(name) ?? Object.assign(make(row), { row: null });
		items.delete(name);
		item.dataset.key = name;
		if (item.row !== row) fill(item, row, item.row);
		item.row = row;
		if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
	});
	for (const item of items.values()) item.remove();
}

const sortedRooms = () => [...rooms.values()].sort((a, b) => a.channel.localeCompare(b.channel));

const roomOf = (id) => sortedRooms().find((row) => row.chat_id === id);

function makeRoom(row) {
	const item = fromTemplate('room-template');
	item.firstElementChild.addEventListener('click', () => openRoom(row.chat_id));
	return item;
}

function fillRoom(item, row, before) {
	const part = (name) => item.querySelector(`.${name}`);
	item.dataset.room = row.channel;
	drawAvatar(part('avatar'), row.channel);
	part('name').textContent = row.channel;
	part('count').textContent = row.messages;
	part('when').textContent = row.last_at === null ? 'nothing yet' : formatTime(row.last_at);
	if (before) flash(part('count'));
}

function drawRooms() {
	drawList($('rooms'), sortedRooms(), 'chat_id', makeRoom, fillRoom);
	for (const item of $('rooms').children)
		item.firstElementChild.setAttribute('aria-current', String(item.row.chat_id === open?.id));
	const row = open && roomOf(open.id);
	if (!row) return;
	$('room-name').textContent = `#${row.channel}`;
	$('room-about').textContent = row.messages === '1' ? '1 message' : `${row.messages} messages`;
	document.title = `#${row.channel} · tailwater chat`;
}

rooms.on('change', () => {
	drawRooms();
	if (open && roomOf(open.id)) return;
	const [first] = sortedRooms();
	if (first) openRoom(first.chat_id);
});

// ---- messages ----

function openRoom(id) {
	if (open?.id === id) return;
	open?.feed.close();
	const feed = db.subscribe('chat_feed', { filter: { chat_id: id } });
	open = { id, feed };
	feed.on('change', () => feed === open.feed && drawMessages());
	feed.on('error', (error) => complain(error.message));
	feed.ready.then(() => scrollDown('auto'), () => {});
	$('messages').replaceChildren();
	drawRooms();
}

const bySending = (a, b) =>
	a.sent_at < b.sent_at ? -1 : a.sent_at > b.sent_at ? 1 : a.message_id < b.message_id ? -1 : 1;

function drawMessages() {
	const list = $('messages');
	const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
	const rows = [...open.feed.values()].sort(bySending);
	drawList(list, rows, 'message_id', makeMessage, fillMessage);
	drawOwnership();
	if (atEnd) scrollDown('smooth');
}

function makeMessage(row) {
	const item = fromTemplate('message-template');
	item.querySelector('.edit').addEventListener('click', () => startEditing(item));
	item.querySelector('.delete').addEventListener('click', () =>
		write('DELETE', `/${item.row.message_id}`, { login: item.row.sender }),
	);
	return item;
}

function fillMessage(item, row, before) {
	const part = (name) => item.querySelector(`.${name}`);
	drawAvatar(part('avatar'), row.sender);
	part('sender').textContent = row.sender;
	item.querySelector('time').textContent = formatTime(row.sent_at);
	item.querySelector('time').dateTime = row.sent_at;
	drawPicture(part('picture'), row);
	if (before?.message !== row.message) {
		stopEditing(item);
		part('body').textContent = row.message;
	}
	if (before) flash(part('bubble'));
}

/** Pictures themselves are not in the example: what is shown is what the database knows of them. */
function drawPicture(element, row) {
	element.hidden = row.image === null;
	if (row.image === null) return;
	const made = row.thumb_w !== null;
	const state = made ? 'thumbnail' : row.image_ready ? 'stored' : 'uploading';
	element.dataset.state = state;
	element.title = row.image;
	element.style.setProperty('--width', made ? row.thumb_w : 160);
	element.style.setProperty('--height', made ? row.thumb_h : 120);
	element.firstElementChild.textContent =
		{ uploading: 'uploading …', stored: 'stored, thumbnail to come', thumbnail: `${row.thumb_w}×${row.thumb_h}` }[state];
}

/** What depends on whose page it is, and on a message's neighbours. */
function drawOwnership() {
	const login = $('login').value;
	for (const item of $('messages').children) {
		const { sender } = item.row;
		item.classList.toggle('own', sender === login);
		item.classList.toggle('follows', item.previousElementSibling?.row.sender === sender);
		item.classList.toggle('continues', item.nextElementSibling?.row.sender === sender);
		item.querySelector('.tools').hidden = sender !== login;
	}
}

function scrollDown(behavior) {
	$('messages').scrollTo({ top: $('messages').scrollHeight, behavior });
}

const kTime = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const kDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });

function formatTime(text) {
	const date = new Date(text);
	const today = new Date().toDateString() === date.toDateString();
	return today ? kTime.format(date) : kDay.format(date);
}

// ---- writing ----

async function write(method, path, body) {
	complain('');
	try {
		const response = await fetch(`${writer}/messages${path}`, {
			method,
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify(body),
		});
		if (!response.ok) throw new Error((await response.json()).message);
		return true;
	} catch (error) {
		complain(`That was not written: ${error.message}`);
		return false;
	}
}

function complain(text) {
	$('problem').textContent = text;
	$('problem').hidden = text === '';
}

$('composer').addEventListener('submit', async (event) => {
	event.preventDefault();
	const message = $('message').value;
	if (!open || message.trim() === '') return;
	$('message').value = '';
	const body = { login: $('login').value, room: open.id, message, image: $('image').checked };
	$('image').checked = false;
	if (!(await write('POST', '', body))) $('message').value ||= message;
	else scrollDown('smooth');
});

function startEditing(item) {
	const body = item.querySelector('.body');
	if (body.isContentEditable) return;
	body.contentEditable = 'plaintext-only';
	if (!body.isContentEditable) body.contentEditable = 'true'; // where that is not known yet
	body.focus();
	getSelection().selectAllChildren(body);
	body.onkeydown = (event) => {
		if (event.key !== 'Enter' && event.key !== 'Escape') return;
		event.preventDefault();
		finishEditing(item, event.key === 'Enter');
	};
	body.onblur = () => finishEditing(item, false);
}

function finishEditing(item, keep) {
	const body = item.querySelector('.body');
	if (!body.isContentEditable) return;
	const message = body.textContent;
	const { message_id, sender, message: before } = item.row;
	stopEditing(item);
	body.textContent = before; // until the database says otherwise
	if (keep && message.trim() !== '' && message !== before)
		write('PATCH', `/${message_id}`, { login: sender, message });
}

function stopEditing(item) {
	const body = item.querySelector('.body');
	body.onblur = body.onkeydown = null;
	body.removeAttribute('contenteditable');
}

// ---- whose page this is ----

const asked = new URLSearchParams(location.search).get('as');
if ([...$('login').options].some((option) => option.value === asked)) $('login').value = asked;
$('login').addEventListener('change', drawOwnership);
