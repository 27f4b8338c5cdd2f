/**
 * canonical.js - one text for one value, so that two states can be compared byte for byte.
 */

/** JSON with the members of every object in order of their names, and no white space. */
export function canonicalJson(value) {
	if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
	if (value !== null && typeof value === 'object') {
		const members = Object.keys(value)
			.filter((name) => value[name] !== undefined)
			.sort()
			.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
		return `{${members.join(',')}}`;
	}
	return JSON.stringify(value);
}

/** The canonical JSON of a multiset of rows: a sorted list, equal rows as often as they occur. */
export function canonicalRows(rows) {
	return `[${Array.from(rows, canonicalJson).sort().join(',')}]`;
}
