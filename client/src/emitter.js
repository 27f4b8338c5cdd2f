/**
 * emitter.js - the few lines of event handling that connections and live views share.
 *
 * A handler that throws must not leave a view half applied, nor keep the other handlers from
 * hearing of the event: its error is rethrown in a task of its own, where the runtime reports it
 * as it reports any uncaught error.
 */
export class Emitter {
	#handlers = new Map();

	/** Calls `handler` at each event `name`. Returns a function that ends this. */
	on(name, handler) {
		if (typeof handler !== 'function') throw new TypeError('an event handler must be a function');
		let handlers = this.#handlers.get(name);
		if (!handlers) this.#handlers.set(name, (handlers = new Set()));
		handlers.add(handler);
		return () => this.off(name, handler);
	}

	off(name, handler) {
		this.#handlers.get(name)?.delete(handler);
	}

	/** Calls `handler` at the next event `name` only. */
	once(name, handler) {
		const off = this.on(name, (...args) => {
			off();
			handler(...args);
		});
		return off;
	}

	emit(name, ...args) {
		for (const handler of [...(this.#handlers.get(name) ?? [])]) {
			try {
				handler(...args);
			} catch (error) {
				queueMicrotask(() => {
					throw error;
				});
			}
		}
	}
}
