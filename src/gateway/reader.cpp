/*
 * reader.cpp - runs the feed's SQL functions and gives their rows to the hub.
 *
 * Plans are saved per view for as long as it has readers. Rows are not
 * collected: a DestReceiver encodes each one and hands it on.
 */
#include "gateway/reader.hpp"
#include "gateway/encode.hpp"

namespace tw::gateway
{

struct ViewPlans
{
	Oid view; /* hash key */
	MemoryContext context;
	ViewDefinition *definition;
	TypeEncoder **encoders;
	SPIPlanPtr changes;
	SPIPlanPtr snapshot;
};

struct RowReceiver
{
	DestReceiver receiver; /* first: the executor knows only this */
	const ViewPlans *plans;
	const bool *needed;
	RowCallback callback;
	void *arg;
	MemoryContext row_context;
	StringInfoData values;
	uint32 *ends;
};

static HTAB *view_plans = nullptr;

static ViewPlans *
find_plans(Oid view)
{
	return view_plans == nullptr
			   ? nullptr
			   : static_cast<ViewPlans *>(hash_search(view_plans, &view, HASH_FIND, nullptr));
}

static char *
column_list(const ViewDefinition *definition)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, "tw_version pg_catalog.int8, tw_diff pg_catalog.int8");
	for (int i = 0; i < definition->columns; i++)
		appendStringInfo(&out, ", c%d %s", i + 1,
						 format_type_extended(definition->type_oids[i], definition->typmods[i],
											  FORMAT_TYPE_TYPEMOD_GIVEN |
												  FORMAT_TYPE_FORCE_QUALIFY));
	return out.data;
}

static SPIPlanPtr
save_plan(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr plan = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == nullptr || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	return plan;
}

static ViewDefinition *
copy_definition(const ViewDefinition *from)
{
	auto *to = static_cast<ViewDefinition *>(palloc(sizeof(ViewDefinition)));
	int n = from->columns;
	auto copy = [](const void *data, Size size)
	{
		return memcpy(palloc(size + 1), data, size);
	};

	*to = *from;
	to->fingerprint = nullptr; /* the hub has the current one */
	to->name = pstrdup(from->name);
	to->names = static_cast<char **>(copy(from->names, sizeof(char *) * n));
	to->json_names = static_cast<char **>(copy(from->json_names, sizeof(char *) * n));
	to->types = static_cast<char **>(copy(from->types, sizeof(char *) * n));
	for (int i = 0; i < n; i++)
	{
		to->names[i] = pstrdup(from->names[i]);
		to->json_names[i] = pstrdup(from->json_names[i]);
		to->types[i] = pstrdup(from->types[i]);
	}
	to->type_oids = static_cast<Oid *>(copy(from->type_oids, sizeof(Oid) * n));
	to->typmods = static_cast<int32 *>(copy(from->typmods, sizeof(int32) * n));
	to->attnums = static_cast<AttrNumber *>(copy(from->attnums, sizeof(AttrNumber) * n));
	if (from->key_columns > 0)
		to->key = static_cast<int *>(copy(from->key, sizeof(int) * from->key_columns));
	return to;
}

static bool
same_definition(const ViewDefinition *a, const ViewDefinition *b)
{
	if (a->columns != b->columns || a->key_columns != b->key_columns ||
		strcmp(a->name, b->name) != 0)
		return false;
	for (int i = 0; i < a->columns; i++)
		if (strcmp(a->names[i], b->names[i]) != 0 || a->type_oids[i] != b->type_oids[i] ||
			a->typmods[i] != b->typmods[i] || a->attnums[i] != b->attnums[i])
			return false;
	for (int i = 0; i < a->key_columns; i++)
		if (a->key[i] != b->key[i])
			return false;
	return true;
}

void
prepare_view(const ViewDefinition *definition)
{
	Oid oid = definition->view;
	ViewPlans *known = find_plans(oid);

	if (known != nullptr && same_definition(known->definition, definition))
		return;
	char *columns = column_list(definition);
	Oid change_types[3] = {OIDOID, INT8OID, INT8OID};
	Oid snapshot_types[1] = {OIDOID};

	forget_view(oid);
	SPIPlanPtr changes = save_plan(
		psprintf("SELECT * FROM tailwater_internal.feed_read($1, $2, $3) AS f(%s)", columns), 3,
		change_types);
	SPIPlanPtr snapshot =
		save_plan(psprintf("SELECT * FROM tailwater_internal.feed_snapshot($1) AS f(%s)", columns),
				  1, snapshot_types);

	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tailwater view plans",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ViewDefinition *kept = copy_definition(definition);
	auto **encoders = static_cast<TypeEncoder **>(
		palloc(sizeof(TypeEncoder *) * (kept->columns + 1)));
	for (int i = 0; i < kept->columns; i++)
		encoders[i] = nullptr; /* looked up at each read: they may be reset in between */
	MemoryContextSwitchTo(old);

	if (view_plans == nullptr)
	{
		HASHCTL info = {};

		info.keysize = sizeof(Oid);
		info.entrysize = sizeof(ViewPlans);
		view_plans = hash_create("tailwater view plans", 64, &info, HASH_ELEM | HASH_BLOBS);
	}
	auto *entry = static_cast<ViewPlans *>(hash_search(view_plans, &oid, HASH_ENTER, nullptr));
	entry->context = context;
	entry->definition = kept;
	entry->encoders = encoders;
	entry->changes = changes;
	entry->snapshot = snapshot;
}

void
forget_view(Oid view)
{
	ViewPlans *plans = find_plans(view);

	if (plans == nullptr)
		return;
	SPI_freeplan(plans->changes);
	SPI_freeplan(plans->snapshot);
	MemoryContextDelete(plans->context);
	hash_search(view_plans, &view, HASH_REMOVE, nullptr);
}

const ViewDefinition *
prepared_definition(Oid view)
{
	ViewPlans *plans = find_plans(view);

	return plans == nullptr ? nullptr : plans->definition;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	auto *receiver = reinterpret_cast<RowReceiver *>(self);
	const ViewPlans *plans = receiver->plans;
	int columns = plans->definition->columns;

	slot_getallattrs(slot);
	resetStringInfo(&receiver->values);
	MemoryContext old = MemoryContextSwitchTo(receiver->row_context);
	for (int i = 0; i < columns; i++)
	{
		if (receiver->needed[i])
			append_value(&receiver->values, plans->encoders[i], slot->tts_values[i + 2],
						 slot->tts_isnull[i + 2]);
		receiver->ends[i] = receiver->values.len;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_context);
	return receiver->callback(receiver->arg, DatumGetInt64(slot->tts_values[0]),
							  DatumGetInt64(slot->tts_values[1]), receiver->values.data,
							  receiver->ends, columns);
}

static void
start_rows(DestReceiver *, int, TupleDesc)
{
}

static void
end_rows(DestReceiver *)
{
}

static void
run(ViewPlans *plans, SPIPlanPtr plan, Datum *args, int nargs, const bool *needed,
	RowCallback callback, void *arg)
{
	RowReceiver receiver = {};
	SPIExecuteOptions options = {};
	ParamListInfo params = makeParamList(nargs);
	Oid types[3] = {OIDOID, INT8OID, INT8OID};

	for (int i = 0; i < nargs; i++)
	{
		params->params[i].value = args[i];
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = types[i];
	}
	for (int i = 0; i < plans->definition->columns; i++)
		plans->encoders[i] = type_encoder(plans->definition->type_oids[i]);
	receiver.receiver.receiveSlot = receive_row;
	receiver.receiver.rStartup = start_rows;
	receiver.receiver.rShutdown = end_rows;
	receiver.receiver.rDestroy = end_rows;
	receiver.receiver.mydest = DestTuplestore; /* any but DestNone and DestSPI: not ours to name */
	receiver.plans = plans;
	receiver.needed = needed;
	receiver.callback = callback;
	receiver.arg = arg;
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext, "tailwater row",
												 ALLOCSET_DEFAULT_SIZES);
	receiver.ends = static_cast<uint32 *>(
		palloc(sizeof(uint32) * (plans->definition->columns + 1)));
	initStringInfo(&receiver.values);

	options.params = params;
	options.read_only = true;
	options.dest = &receiver.receiver;
	int result = SPI_execute_plan_extended(plan, &options);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read the feed: %s", SPI_result_code_string(result));
	pfree(receiver.values.data);
	MemoryContextDelete(receiver.row_context);
}

static ViewPlans *
require_plans(Oid view)
{
	ViewPlans *plans = find_plans(view);

	if (plans == nullptr)
		elog(ERROR, "view %u is not prepared", view);
	return plans;
}

void
read_changes(Oid view, int64 after, int64 upto, const bool *needed, RowCallback callback, void *arg)
{
	ViewPlans *plans = require_plans(view);
	Datum args[3] = {ObjectIdGetDatum(view), Int64GetDatum(after), Int64GetDatum(upto)};

	run(plans, plans->changes, args, 3, needed, callback, arg);
}

void
read_snapshot(Oid view, const bool *needed, RowCallback callback, void *arg)
{
	ViewPlans *plans = require_plans(view);
	Datum args[1] = {ObjectIdGetDatum(view)};

	run(plans, plans->snapshot, args, 1, needed, callback, arg);
}

} // namespace tw::gateway
