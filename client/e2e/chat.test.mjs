/**
 * The chat page in a real browser, against a real server: two people in two windows, a gateway that is killed,
 * and screenshots that are looked at.
 *
 * Starts the demo by its own script (so that is tested, too), in a directory and on ports of its own.
 * tailwater must be installed where PG_CONFIG says. Needs chromium and npm; playwright-core is installed here at
 * the first run. SCREENSHOTS names a directory in which to keep the pictures.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';

const kHere = fileURLToPath(new URL('.', import.meta.url));
const kTop = fileURLToPath(new URL('../..', import.meta.url));
const kCats = '00000000-0000-0000-0000-0000000000c1';
const kFlags = [
	'--headless',
	'--no-sandbox',
	'--disable-gpu',
	'--disable-quic',
	'--no-first-run',
	'--disable-background-networking',
	'--disable-component-update',
	'--disable-sync',
];

let work;
let environment;
let url;
let browser;
let alice;
let bob;
const complaints = [];

/** Runs a program; gives what it printed, fails with it where it failed. */
function run(command, args, options = {}) {
	const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 120_000, ...options });
	if (error) throw error;
	assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}\n${stderr}`);
	return stdout;
}

const demo = (...args) => run(join(kTop, 'tools/demo'), args, { env: environment });
const sql = (statement) => demo('psql', '-qXAt', '-v', 'ON_ERROR_STOP=1', '-c', statement).trim();

function freePort() {
	return new Promise((resolve) => {
		const server = createServer().listen(0, '127.0.0.1', () => {
			const { port } = server.address();
			server.close(() => resolve(port));
		});
	});
}

async function loadPlaywright() {
	if (!existsSync(join(kHere, 'node_modules/playwright-core')))
		run('npm', ['ci', '--no-audit', '--no-fund'], {
			cwd: kHere,
			env: { ...process.env, PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' },
		});
	return (await import('playwright-core')).chromium;
}

before(async () => {
	work = mkdtempSync(join(tmpdir(), 'tw-e2e-'));
	run('chmod', ['711', work]);
	const port = await freePort();
	environment = {
		...process.env,
		DEMO_DIRECTORY: join(work, 'demo'),
		DEMO_PORT: String(port),
		DEMO_BACKGROUND: '1',
	};
	for (const name of ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE']) delete environment[name];
	const said = demo('start');
	[url] = said.match(/http:\/\/localhost:\d+\//);
	assert.match(said, /-1 \| cats +\| +2\n.* 1 \| cats +\| +3\n/, 'TAIL shows the change of the counter');
	const chromium = await loadPlaywright();
	browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: kFlags });
	alice = await openPage('alice', { viewport: { width: 1100, height: 720 }, colorScheme: 'light' });
	bob = await openPage('bob', { viewport: { width: 390, height: 760 }, colorScheme: 'dark' });
});

after(async () => {
	await browser?.close();
	const said = demo('stop');
	rmSync(work, { recursive: true });
	assert.match(said, /stopped; its server \(PID \d+\) and its data are gone/);
});

/** A window of its own (own profile), in which errors are noted. */
async function openPage(login, options) {
	const context = await browser.newContext(options);
	const page = await context.newPage();
	page.on('pageerror', (error) => complaints.push(`${login}: ${error.message}`));
	page.on('console', (message) => message.type() === 'error' && complaints.push(`${login}: ${message.text()}`));
	await page.goto(`${url}?as=${login}`);
	await page.waitForSelector('#status[data-status="open"]');
	await page.waitForSelector('.message');
	return page;
}

const messages = (page) => page.$$eval('.message .body', (bodies) => bodies.map((body) => body.textContent));
const count = (page, room) => page.textContent(`[data-room="${room}"] .count`);
const withText = (text) => `.message:has-text(${JSON.stringify(text)})`;

async function say(page, text) {
	await page.fill('#message', text);
	await page.press('#message', 'Enter');
}

/** Waits until the page shows these counters. */
async function seeCount(page, room, value) {
	await page.waitForFunction(
		([name, expected]) => document.querySelector(`[data-room="${name}"] .count`)?.textContent === expected,
		[room, String(value)],
	);
}

/** Waits until the page shows exactly these messages. */
async function seeMessages(page, expected) {
	await page.waitForFunction(
		(texts) => {
			const shown = [...document.querySelectorAll('.message .body')].map((body) => body.textContent);
			return JSON.stringify(shown) === JSON.stringify(texts);
		},
		expected,
	);
}

/** Takes a picture and looks at it: right size, and far from one colour. */
async function picture(page, name) {
	await page.waitForTimeout(700); // let what has just changed fade
	const png = await page.screenshot();
	if (process.env.SCREENSHOTS) {
		mkdirSync(process.env.SCREENSHOTS, { recursive: true });
		writeFileSync(join(process.env.SCREENSHOTS, `${name}.png`), png);
	}
	const image = decodePng(png);
	assert.deepEqual([image.width, image.height], Object.values(page.viewportSize()));
	assert.ok(image.colours > 50, `${name}: ${image.colours} colours`);
	assert.ok(image.deviation > 8, `${name}: brightness deviates by ${image.deviation}`);
	return image;
}

test('both windows show the room', async () => {
	assert.deepEqual(await messages(alice), ['hi', 'hello']);
	assert.deepEqual(await messages(bob), ['hi', 'hello']);
	assert.equal(await count(alice, 'cats'), '2');
	assert.equal(await count(bob, 'dogs'), '1');
	assert.equal(await alice.title(), '#cats · tailwater chat');
});

test('what one writes the other sees, and the counters move', async () => {
	await say(alice, 'look <b>what</b> the cat dragged in');
	await bob.waitForSelector(withText('look <b>what</b> the cat dragged in'));
	for (const page of [alice, bob]) await seeCount(page, 'cats', 3);
	assert.equal(await alice.$$eval('.message:last-child.own', (list) => list.length), 1);
	assert.equal(await bob.$$eval('.message:last-child.own', (list) => list.length), 0);
	assert.match(await bob.textContent('#status-text'), /^live · \d+ ms after commit$/);
});

test('a picture: uploading, stored, thumbnail', async () => {
	await alice.check('#image', { force: true });
	await say(alice, 'with a picture');
	const state = (name) => `${withText('with a picture')} .picture[data-state="${name}"]`;
	await bob.waitForSelector(state('uploading'));
	await bob.waitForSelector(state('stored'));
	await bob.waitForSelector(state('thumbnail'));
	assert.match(await bob.textContent(state('thumbnail')), /^\d+×\d+$/);
});

test('an edit and a removal', async () => {
	await alice.hover(withText('dragged in'));
	await alice.click(`${withText('dragged in')} .edit`);
	await alice.keyboard.type('look at that');
	await alice.keyboard.press('Enter');
	await bob.waitForSelector(withText('look at that'));
	assert.deepEqual(await messages(bob), ['hi', 'hello', 'look at that', 'with a picture']);

	await say(bob, 'never mind');
	await alice.waitForSelector(withText('never mind'));
	await bob.hover(withText('never mind'));
	await bob.click(`${withText('never mind')} .delete`);
	await alice.waitForSelector(withText('never mind'), { state: 'detached' });
	await seeCount(alice, 'cats', 4);
	assert.equal(await alice.$$eval(`${withText('hello')} .tools:not([hidden])`, (l) => l.length), 0, 'bob alone may edit his');
});

test('other rooms', async () => {
	await bob.click('[data-room="dogs"] button');
	await bob.waitForSelector(withText('woof'));
	assert.deepEqual(await messages(bob), ['woof']);
	await bob.selectOption('#login', 'eve');
	await say(bob, 'WOOF');
	await seeCount(alice, 'dogs', 2);
	assert.equal((await messages(alice)).includes('WOOF'), false);
	await bob.selectOption('#login', 'bob');
	await bob.click('[data-room="cats"] button');
	await bob.waitForSelector(withText('look at that'));
});

test('the pictures of both windows', async () => {
	const light = await picture(alice, 'light');
	const dark = await picture(bob, 'dark');
	assert.ok(light.brightness > 180, `light: ${light.brightness}`);
	assert.ok(dark.brightness < 80, `dark: ${dark.brightness}`);
});

test('the gateway is killed: the page says so, comes back, and shows what was written meanwhile', async () => {
	const gateway = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'tailwater gateway'");
	assert.match(gateway, /^\d+$/);
	const states = alice.evaluate(
		() =>
			new Promise((resolve) => {
				const seen = [];
				const status = document.getElementById('status');
				new MutationObserver((_, observer) => {
					seen.push(status.dataset.status);
					if (status.dataset.status !== 'open') return;
					observer.disconnect();
					resolve(seen);
				}).observe(status, { attributes: true, attributeFilter: ['data-status'] });
			}),
	);
	process.kill(Number(gateway), 'SIGKILL');
	await alice.waitForSelector('#status:not([data-status="open"])');
	// The death of a process by SIGKILL makes PostgreSQL restart all others: psql may have to try again.
	await untilWritten(`SELECT post_message('eve', '${kCats}', 'while you were away')`);
	await untilWritten("DELETE FROM chat_message WHERE chat_message_text = 'hi'");
	await alice.waitForSelector(withText('while you were away'), { timeout: 30_000 });
	await bob.waitForSelector(withText('while you were away'), { timeout: 30_000 });
	assert.ok((await states).includes('waiting'));
	const expected = ['hello', 'look at that', 'with a picture', 'while you were away'];
	for (const page of [alice, bob]) {
		await seeMessages(page, expected);
		await seeCount(page, 'cats', 4);
	}
	await say(bob, 'welcome back');
	await alice.waitForSelector(withText('welcome back'));
	await picture(alice, 'after');
});

test('nothing was complained about', () => {
	const unexpected = complaints.filter((text) => !/WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/.test(text));
	assert.deepEqual(unexpected, []);
});

async function untilWritten(statement) {
	for (let tries = 100; ; tries -= 1) {
		try {
			return sql(statement);
		} catch (error) {
			if (tries === 0) throw error;
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	}
}

/** Size, number of colours, mean and deviation of the brightness of an 8-bit RGB or RGBA image. */
function decodePng(png) {
	const chunks = [];
	let header;
	for (let at = 8; at < png.length; ) {
		const length = png.readUInt32BE(at);
		const type = png.toString('latin1', at + 4, at + 8);
		const data = png.subarray(at + 8, at + 8 + length);
		if (type === 'IHDR') header = { width: data.readUInt32BE(0), height: data.readUInt32BE(4), depth: data[8], type: data[9] };
		if (type === 'IDAT') chunks.push(data);
		at += length + 12;
	}
	assert.equal(header.depth, 8);
	const size = { 2: 3, 6: 4 }[header.type];
	const stride = header.width * size;
	const raw = inflateSync(Buffer.concat(chunks));
	let before = Buffer.alloc(stride);
	const colours = new Set();
	let sum = 0;
	let squares = 0;
	for (let y = 0; y < header.height; y += 1) {
		const start = y * (stride + 1);
		const line = unfilter(raw[start], raw.subarray(start + 1, start + 1 + stride), before, size);
		for (let x = 0; x < stride; x += size) {
			colours.add((line[x] << 16) | (line[x + 1] << 8) | line[x + 2]);
			const grey = (line[x] + line[x + 1] + line[x + 2]) / 3;
			sum += grey;
			squares += grey * grey;
		}
		before = line;
	}
	const pixels = header.width * header.height;
	const brightness = sum / pixels;
	const deviation = Math.sqrt(squares / pixels - brightness * brightness);
	return { width: header.width, height: header.height, colours: colours.size, brightness, deviation };
}

/** Undoes a line's PNG filter. */
function unfilter(filter, line, above, size) {
	const out = Buffer.from(line);
	for (let i = 0; i < out.length; i += 1) {
		const left = i >= size ? out[i - size] : 0;
		const corner = i >= size ? above[i - size] : 0;
		out[i] += [0, left, above[i], (left + above[i]) >> 1, paeth(left, above[i], corner)][filter];
	}
	return out;
}

function paeth(left, above, corner) {
	const p = left + above - corner;
	const [a, b, c] = [left, above, corner].map((value) => Math.abs(p - value));
	return a <= b && a <= c ? left : b <= c ? above : corner;
}
