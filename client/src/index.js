/**
 * tailwater-client - live PostgreSQL views over WebSocket.
 *
 *     const db = connect('ws://localhost:8432/v1/stream');
 *     const cats = db.subscribe('chat_feed', { filter: { channel: 'cats' } });
 *     await cats.ready;
 *     cats.on('change', ({ changes }) => render(cats.rows));
 */
import { Connection } from './connection.js';

export { canonicalJson, canonicalRows } from './canonical.js';
export { TailwaterError } from './errors.js';

/** Connects to a tailwater gateway; see index.d.ts for the options. */
export function connect(url, options) {
	return new Connection(url, options);
}
