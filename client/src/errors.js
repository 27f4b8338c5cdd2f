/**
 * errors.js - the one error type that callers see, with the protocol's stable code.
 */
export class TailwaterError extends Error {
	/**
	 * @param {string} code the protocol's error code, or one of the client's own: `closed` (by
	 *   close()), `refused` (the socket was closed for good), `gap` (something is missing before
	 *   what the server sent; the client resumes), `desync` (what it sent does not fit the rows;
	 *   the view is read anew), `malformed` (a message that cannot be understood), `token` (the
	 *   token function failed)
	 * @param {string} message
	 * @param {object} [details] retryable, retryAfterMs, sqlstate, hint, closeCode
	 */
	constructor(code, message, details = {}) {
		super(message);
		this.name = 'TailwaterError';
		this.code = code;
		this.retryable = details.retryable ?? false;
		this.retryAfterMs = details.retryAfterMs;
		this.sqlstate = details.sqlstate;
		this.hint = details.hint;
		this.closeCode = details.closeCode;
	}

	/** The error that an `error` message of the server stands for. */
	static fromMessage(message) {
		return new TailwaterError(message.code, message.message, {
			retryable: message.retryable,
			retryAfterMs: message.retry_after_ms,
			sqlstate: message.sqlstate,
			hint: message.hint,
		});
	}
}
