/** Where app.js sends what is written; `make demo` writes its own copy of this file. */
export const writer = 'http://127.0.0.1:8433';
