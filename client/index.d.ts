/** tailwater-client: live PostgreSQL views over WebSocket. See README.md. */

/** A row by column name; int8 and numeric are strings, see "Values" in docs/wire-protocol.md. */
export type Row = Record<string, unknown>;
export type Key = unknown[];

/** Equality filters: `{channel: 'cats'}`; null means "is null". */
export type Filter = Record<string, unknown> | { col: string; op?: 'eq'; val: unknown }[];

export type Status = 'connecting' | 'open' | 'waiting' | 'closed';
export type LiveState = 'pending' | 'loading' | 'live' | 'stale' | 'closed';

/** Enough of a WebSocket for the client. */
export interface WebSocketLike {
	readonly readyState: number;
	onopen: ((event: any) => void) | null;
	onmessage: ((event: any) => void) | null;
	onclose: ((event: any) => void) | null;
	onerror: ((event: any) => void) | null;
	send(data: string): void;
	close(code?: number, reason?: string): void;
}

export interface ConnectOptions {
	/** Constructor to use instead of the runtime's own. */
	WebSocket?: new (url: string, protocols: string[]) => WebSocketLike;
	/** A token, or a function that gives a fresh one: at each connect and when one expires. */
	token?: string | (() => string | Promise<string>);
	/** Waits between attempts to connect, in ms. Defaults: 250, 30000, doubling. */
	backoff?: { min?: number; max?: number; factor?: number; random?: () => number };
	/** ms in which a new socket must say `welcome`. Default 10000. */
	connectTimeout?: number;
	/** ms of silence after which the client asks with `ping`. Default: as the server says. */
	pingInterval?: number | null;
	/** ms in which a `ping` must be answered. Default 10000. */
	pongTimeout?: number;
	/** ms after which a connection counts as one that holds, and the back-off starts anew. */
	stableAfter?: number;
}

/** Where a subscription stood, from `live.save()`. Plain JSON. */
export interface Saved<R extends Row = Row> {
	pos: string;
	key: string[] | null;
	rows: R[];
}

export interface SubscribeOptions<R extends Row = Row> {
	filter?: Filter;
	/** Columns to send; key columns always are. Default: all. */
	columns?: string[];
	/** false: only changes from now on, no rows. */
	snapshot?: boolean;
	/** Goes on where an earlier subscription to the same thing stood. */
	saved?: Saved<R> | null;
}

export interface EndpointOptions<R extends Row = Row> extends SubscribeOptions<R> {
	params?: Record<string, unknown>;
}

/** One change of a row. Views without a key have no `update`, no `key`, and a `count` of copies. */
export interface Change<R extends Row = Row> {
	kind: 'insert' | 'update' | 'delete';
	key?: Key;
	row: R;
	old?: R;
	count?: number;
}

export interface ChangeEvent<R extends Row = Row> {
	pos: string | null;
	/** Commit time of the version; undefined for a snapshot. */
	ts: string | undefined;
	/** The rows were replaced by a snapshot; `changes` is the net difference. */
	snapshot: boolean;
	changes: Change<R>[];
}

export interface LiveEvents<R extends Row = Row> {
	change: (event: ChangeEvent<R>) => void;
	state: (state: LiveState) => void;
	/** The server could not go on from `pos`; a snapshot follows, the old rows stay till then. */
	reset: (event: { reason: string }) => void;
	error: (error: TailwaterError) => void;
	/** It is over: 'closed' (by us), 'dropped', 'released', 'forbidden', 'refused', 'not_found' … */
	complete: (event: { reason: string; error: TailwaterError }) => void;
}

export interface Live<R extends Row = Row> {
	readonly view: string | null;
	readonly endpoint: string | null;
	readonly state: LiveState;
	readonly schema: { name: string; type: string }[] | null;
	/** Names of the key columns; null for a view without a key (or before it is known). */
	readonly key: string[] | null;
	/** Position of `rows`: opaque. */
	readonly pos: string | null;
	/** Rows by JSON.stringify of the list of their key values; without a key, by canonicalJson(row). */
	readonly rows: ReadonlyMap<string, R>;
	/** Number of rows, copies included. */
	readonly size: number;
	/** Resolves when the rows are there for the first time; rejects when they never will be. */
	readonly ready: Promise<Live<R>>;
	/** All rows; without a key, each as often as it occurs. */
	values(): IterableIterator<R>;
	/** The row with these key values. */
	get(...key: unknown[]): R | undefined;
	/** Copies of the row with this name in `rows`. */
	count(id: string): number;
	save(): Saved<R> | null;
	close(): void;
	on<E extends keyof LiveEvents<R>>(event: E, handler: LiveEvents<R>[E]): () => void;
	once<E extends keyof LiveEvents<R>>(event: E, handler: LiveEvents<R>[E]): () => void;
	off<E extends keyof LiveEvents<R>>(event: E, handler: LiveEvents<R>[E]): void;
}

export interface ConnectionEvents {
	status: (
		status: Status,
		details: { reason?: string; retryIn?: number; error?: TailwaterError },
	) => void;
	/** One version was applied to all of these views. */
	unit: (event: { ts: string; lives: Live[] }) => void;
	error: (error: TailwaterError) => void;
	authed: (event: { exp: number }) => void;
	going_away: (event: { retryAfterMs?: number }) => void;
}

export interface Connection {
	readonly url: string;
	readonly status: Status;
	/** The server's welcome, while connected. */
	readonly server: { session: string; server: string; limits: Record<string, number> } | null;
	readonly lives: Live[];
	subscribe<R extends Row = Row>(view: string, options?: SubscribeOptions<R>): Live<R>;
	subscribeEndpoint<R extends Row = Row>(endpoint: string, options?: EndpointOptions<R>): Live<R>;
	close(): void;
	on<E extends keyof ConnectionEvents>(event: E, handler: ConnectionEvents[E]): () => void;
	once<E extends keyof ConnectionEvents>(event: E, handler: ConnectionEvents[E]): () => void;
	off<E extends keyof ConnectionEvents>(event: E, handler: ConnectionEvents[E]): void;
}

export class TailwaterError extends Error {
	/** Stable: the protocol's, or closed, refused, gap, desync, malformed, token. */
	readonly code: string;
	readonly retryable: boolean;
	readonly retryAfterMs?: number;
	readonly sqlstate?: string;
	readonly hint?: string;
	readonly closeCode?: number;
}

/** Connects, and stays connected until `close()`. Throws where the URL is none. */
export function connect(url: string | URL, options?: ConnectOptions): Connection;
/** JSON with object members sorted by name and no white space. */
export function canonicalJson(value: unknown): string;
/** Canonical JSON of a multiset of rows. */
export function canonicalRows(rows: Iterable<unknown>): string;
