/*
 * place.cpp - where a session last found rows of a view or a state table.
 *
 * What the index says of a row stays true as long as its new versions find room
 * on its page, which is the usual case: the session that looks for the same key
 * again goes there at once. A place is a hint: it is good if the row that is
 * visible there has the key, since no other visible row has it. It is in the
 * memory of a kept writer, a small table in which a key has one place to be.
 */
#include "state/writer.hpp"

namespace tw::state
{

struct Place
{
	uint32 hash; /* of the key; 0: empty */
	ItemPointerData root;
};

namespace
{

constexpr uint32 kPlaces = 256;

bool
has_places(const Writer *writer)
{
	return writer->cache && writer->form == IndexForm::kColumns && is_keyed(writer);
}

uint32
hash_of_value(Form_pg_attribute att, Datum value)
{
	if (att->attbyval)
		return murmurhash32((uint32) value ^ (uint32) ((uint64) value >> 32));
	if (att->attlen == -1)
		return hash_bytes((const unsigned char *) VARDATA_ANY(DatumGetPointer(value)),
						  VARSIZE_ANY_EXHDR(DatumGetPointer(value)));
	if (att->attlen == -2)
		return hash_bytes((const unsigned char *) DatumGetCString(value),
						  strlen(DatumGetCString(value)));
	return hash_bytes((const unsigned char *) DatumGetPointer(value), att->attlen);
}

/* 0 where it cannot have a place. */
uint32
hash_of_key(const Writer *writer, const Datum *values, const bool *nulls)
{
	TupleDesc desc = writer->row->tts_tupleDescriptor;
	uint32 hash = 1;

	for (int i = 0; i < writer->ncolumns; i++)
	{
		int column = writer->columns[i] - 1;

		if (nulls[column])
			return 0;
		hash = hash_combine(hash, hash_of_value(TupleDescAttr(desc, column), values[column]));
	}
	return hash;
}

bool
found_has_key(Writer *writer, const Datum *values)
{
	TupleDesc desc = writer->row->tts_tupleDescriptor;

	for (int i = 0; i < writer->ncolumns; i++)
	{
		bool isnull;
		Datum value = slot_getattr(writer->found, writer->columns[i], &isnull);
		Form_pg_attribute att = TupleDescAttr(desc, writer->columns[i] - 1);

		if (isnull ||
			!datum_image_eq(value, values[writer->columns[i] - 1], att->attbyval, att->attlen))
			return false;
	}
	return true;
}

/* A vacuum may have made the table shorter, but not while it is open for writing. */
bool
is_within(Writer *writer, ItemPointer tid)
{
	if (ItemPointerGetBlockNumber(tid) >= writer->npages)
		writer->npages = RelationGetNumberOfBlocks(writer->rel);
	return ItemPointerGetBlockNumber(tid) < writer->npages;
}

} // namespace

bool
find_again(Writer *writer, const Datum *values, const bool *nulls)
{
	if (!writer->places)
		return false;

	uint32 hash = hash_of_key(writer, values, nulls);
	const Place *place = &writer->places[hash % kPlaces];
	ItemPointerData tid = place->root;

	if (hash == 0 || place->hash != hash || !is_within(writer, &tid))
		return false;

	IndexFetchTableData *fetch = table_index_fetch_begin(writer->rel);
	bool more = false;
	bool found = table_index_fetch_tuple(fetch, &tid, GetActiveSnapshot(), writer->found, &more,
										 nullptr);

	table_index_fetch_end(fetch);
	if (found && found_has_key(writer, values))
	{
		writer->root = place->root;
		return true;
	}
	ExecClearTuple(writer->found);
	return false;
}

void
remember_found(Writer *writer, const Datum *values, const bool *nulls)
{
	if (!has_places(writer))
		return;

	uint32 hash = hash_of_key(writer, values, nulls);
	if (hash == 0)
		return;
	if (!writer->places)
		writer->places = (Place *) MemoryContextAllocZero(writer->context, sizeof(Place) * kPlaces);
	writer->places[hash % kPlaces] = {hash, writer->root};
}

} // namespace tw::state
