/**
 * server.mjs - the way in of the chat example: takes a message by HTTP and gives it to PostgreSQL.
 *
 * tailwater only sends; writing is the application's own business, and this is the application,
 * as small as it can be. Each request runs psql, which quotes the values itself (:'name'), and calls
 * one of the functions at the end of chat.sql as role chat_writer, which may do nothing else.
 *
 *   POST   /messages       {login, room, message, image?}   → 201 {id}
 *   PATCH  /messages/<id>  {login, message}                 → 200 {id}
 *   DELETE /messages/<id>  {login}                          → 200 {id}
 *
 * There are no passwords: anybody may be alice. For that reason it listens on localhost only, and
 * hears only pages of the origins it is told (a page of another site could send requests, too).
 *
 * usage: node server.mjs --port N --origin URL[,URL…] [--database NAME] [--pid-file FILE]
 * PGHOST, PGPORT say where PostgreSQL is; PSQL names another psql.
 */
import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { unlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const kMaxBody = 16 * 1024;
const kMaxMessage = 2000;
const kUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const { values: options } = parseArgs({
	options: {
		port: { type: 'string' },
		origin: { type: 'string' },
		database: { type: 'string', default: 'chat' },
		'pid-file': { type: 'string' },
	},
});
const origins = (options.origin ?? '').split(',').filter(Boolean);

class HttpError extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

/** Runs one statement with psql variables; gives its one value, null where there is none. */
function sql(statement, variables) {
	const settings = Object.entries(variables).flatMap(([name, value]) => ['-v', `${name}=${value}`]);
	const psql = spawn(
		process.env.PSQL ?? 'psql',
		['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...settings, '-f', '-'],
		{
			env: { ...process.env, PGDATABASE: options.database, PGUSER: 'chat_writer', PGCLIENTENCODING: 'UTF8' },
			stdio: 'pipe',
		},
	);
	return new Promise((resolve, reject) => {
		let output = '';
		let complaint = '';
		psql.stdout.on('data', (chunk) => (output += chunk));
		psql.stderr.on('data', (chunk) => (complaint += chunk));
		psql.on('error', reject);
		psql.on('close', (code) => {
			if (code === 0) resolve(output.trim() || null);
			else reject(new Error(complaint.trim()));
		});
		psql.stdin.on('error', () => {}); // psql's exit code tells
		psql.stdin.end(`${statement};\n`);
	});
}

async function readBody(request) {
	if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
		throw new HttpError(415, 'the body must be JSON');
	const chunks = [];
	let size = 0;
	for await (const chunk of request) {
		size += chunk.length;
		if (size > kMaxBody) throw new HttpError(413, 'the body is too large');
		chunks.push(chunk);
	}
	try {
		const body = JSON.parse(Buffer.concat(chunks));
		if (body !== null && typeof body === 'object') return body;
	} catch {
		// as for what is JSON and no object
	}
	throw new HttpError(400, 'the body must be a JSON object');
}

function text(body, name, max) {
	const value = body[name];
	if (typeof value !== 'string' || value.trim() === '') throw new HttpError(400, `${name} is missing`);
	if (value.length > max) throw new HttpError(400, `${name} is longer than ${max} characters`);
	if (value.includes('\0')) throw new HttpError(400, `${name} holds a zero byte`);
	return value;
}

function uuid(value) {
	if (!kUuid.test(value)) throw new HttpError(400, 'that is no id');
	return value;
}

/** Plays object store and transcoder: the picture is stored soon, its thumbnail follows. */
function pretendUpload(image) {
	const step = (ms, statement, variables) =>
		setTimeout(() => sql(statement, variables).catch((error) => console.error(error.message)), ms);
	const [width, height] = [[160, 120], [120, 160], [160, 90]][randomInt(3)];
	step(1500, "SELECT picture_stored(:'image')", { image });
	step(3000, "SELECT thumbnail_made(:'image', :'width', :'height')", { image, width, height });
}

async function post(body) {
	const image = body.image ? `images/${randomUUID()}.jpg` : '';
	const id = await sql("SELECT post_message(:'login', :'room', :'message', nullif(:'image', ''))", {
		login: text(body, 'login', 255),
		room: uuid(body.room),
		message: text(body, 'message', kMaxMessage),
		image,
	});
	if (id && image) pretendUpload(image);
	return [201, id];
}

async function patch(body, id) {
	const variables = { login: text(body, 'login', 255), id: uuid(id), message: text(body, 'message', kMaxMessage) };
	return [200, await sql("SELECT edit_message(:'login', :'id', :'message')", variables)];
}

async function remove(body, id) {
	const variables = { login: text(body, 'login', 255), id: uuid(id) };
	return [200, await sql("SELECT delete_message(:'login', :'id')", variables)];
}

async function route(request) {
	const [, folder, id, ...rest] = request.url.split('/');
	if (folder !== 'messages' || rest.length > 0) throw new HttpError(404, 'there is nothing here');
	const actions = id === undefined ? { POST: post } : { PATCH: patch, DELETE: remove };
	const action = actions[request.method];
	if (!action) throw new HttpError(405, `no ${request.method} here`);
	const [status, result] = await action(await readBody(request), id);
	if (result === null) throw new HttpError(403, 'no such user, or not their message');
	return [status, { id: result }];
}

async function answer(request, response) {
	const { origin } = request.headers;
	if (!origins.includes(origin)) throw new HttpError(403, 'not from this page');
	response.setHeader('access-control-allow-origin', origin);
	response.setHeader('vary', 'origin');
	if (request.method === 'OPTIONS') {
		response.setHeader('access-control-allow-methods', 'POST, PATCH, DELETE');
		response.setHeader('access-control-allow-headers', 'content-type');
		return [204, null];
	}
	return route(request);
}

const server = createServer(async (request, response) => {
	let status;
	let body;
	try {
		[status, body] = await answer(request, response);
	} catch (error) {
		status = error.status ?? 500;
		body = { message: error.status ? error.message : 'the database did not take it' };
		if (!error.status) console.error(error.message);
	}
	response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
	response.end(body === null ? undefined : JSON.stringify(body));
});

server.listen(Number(options.port ?? 8433), '127.0.0.1', () => {
	if (options['pid-file']) writeFileSync(options['pid-file'], `${process.pid}\n`);
	console.log(`writing: http://127.0.0.1:${server.address().port}/messages`);
});

for (const signal of ['SIGINT', 'SIGTERM'])
	process.on(signal, () => {
		if (options['pid-file']) unlinkSync(options['pid-file']);
		process.exit(0);
	});
