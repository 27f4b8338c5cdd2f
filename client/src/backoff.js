/**
 * backoff.js - how long to wait before the next attempt to connect.
 *
 * Exponential with "equal jitter": between half of the current step and all of it, so that the
 * clients of a server that restarts do not come back in one moment, and none comes back at once.
 */
export class Backoff {
	#attempt = 0;

	/** @param {{min?: number, max?: number, factor?: number, random?: () => number}} options in ms */
	constructor({ min = 250, max = 30_000, factor = 2, random = Math.random } = {}) {
		Object.assign(this, { min, max, factor, random });
	}

	/** Milliseconds to wait; each call in a row waits longer, up to `max`. */
	next() {
		const step = Math.min(this.max, this.min * this.factor ** this.#attempt);
		if (step < this.max) this.#attempt += 1;
		return this.spread(step / 2, step / 2);
	}

	/** `base` and a random part of `range` more. */
	spread(base, range) {
		return base + this.random() * range;
	}

	/** After a connection that held. */
	reset() {
		this.#attempt = 0;
	}
}
