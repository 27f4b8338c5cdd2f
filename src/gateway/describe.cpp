/*
 * describe.cpp - what the catalogs say about a view, and who may read it.
 */
#include "gateway/describe.hpp"
#include "gateway/encode.hpp"

namespace tw::gateway
{

Oid
find_relation(const char *name)
{
	List *names = textToQualifiedNameList(cstring_to_text(name));

	if (list_length(names) > 2)
		return InvalidOid;
	const char *schema = list_length(names) == 2 ? strVal(linitial(names)) : "public";
	Oid nsp = get_namespace_oid(schema, true);
	return OidIsValid(nsp) ? get_relname_relid(strVal(llast(names)), nsp) : InvalidOid;
}

static char *
to_utf8(const char *text)
{
	return GetDatabaseEncoding() == PG_SQL_ASCII
			   ? pstrdup(text)
			   : pstrdup(pg_server_to_any(text, strlen(text), PG_UTF8));
}

/* A row is identified by a unique index over plain columns of all rows. */
static bool
is_key(Form_pg_index index, HeapTuple tuple)
{
	if (!index->indisunique || !index->indisvalid || !index->indimmediate ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, nullptr) ||
		!heap_attisnull(tuple, Anum_pg_index_indexprs, nullptr))
		return false;
	for (int i = 0; i < index->indnkeyatts; i++)
		if (index->indkey.values[i] <= 0)
			return false;
	return true;
}

static int
column_of(const ViewDefinition *definition, AttrNumber attnum)
{
	for (int i = 0; i < definition->columns; i++)
		if (definition->attnums[i] == attnum)
			return i;
	return -1;
}

/* Takes the index as the view's key where it can be one. */
static bool
try_key(ViewDefinition *definition, Oid index_oid)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));
	bool taken = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	auto *index = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
	if (is_key(index, tuple))
	{
		taken = true;
		definition->key_columns = index->indnkeyatts;
		definition->key = static_cast<int *>(palloc(sizeof(int) * index->indnkeyatts));
		for (int i = 0; i < index->indnkeyatts; i++)
			definition->key[i] = column_of(definition, index->indkey.values[i]);
	}
	ReleaseSysCache(tuple);
	return taken;
}

static void
find_key(ViewDefinition *definition, Relation rel, Oid key_index)
{
	ListCell *cell;

	definition->key_columns = 0;
	if (OidIsValid(key_index) && try_key(definition, key_index))
		return;
	List *indexes = RelationGetIndexList(rel);
	foreach (cell, indexes)
		if (try_key(definition, lfirst_oid(cell)))
			break;
	list_free(indexes);
}

ViewDefinition *
describe_view(Oid view, Oid log, int64 epoch, Oid key_index)
{
	Relation rel = relation_open(view, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	auto *out = static_cast<ViewDefinition *>(palloc0(sizeof(ViewDefinition)));

	out->view = view;
	out->log = log;
	out->epoch = epoch;
	out->name = to_utf8(quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												   RelationGetRelationName(rel)));
	out->names = static_cast<char **>(palloc(sizeof(char *) * desc->natts));
	out->json_names = static_cast<char **>(palloc(sizeof(char *) * desc->natts));
	out->types = static_cast<char **>(palloc(sizeof(char *) * desc->natts));
	out->type_oids = static_cast<Oid *>(palloc(sizeof(Oid) * desc->natts));
	out->typmods = static_cast<int32 *>(palloc(sizeof(int32) * desc->natts));
	out->attnums = static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * desc->natts));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		StringInfoData json;

		if (attribute->attisdropped)
			continue;
		initStringInfo(&json);
		append_text(&json, NameStr(attribute->attname), strlen(NameStr(attribute->attname)));
		out->json_names[out->columns] = json.data;
		out->names[out->columns] = to_utf8(NameStr(attribute->attname));
		out->types[out->columns] = to_utf8(
			format_type_with_typemod(attribute->atttypid, attribute->atttypmod));
		out->type_oids[out->columns] = attribute->atttypid;
		out->typmods[out->columns] = attribute->atttypmod;
		out->attnums[out->columns] = attribute->attnum;
		out->columns++;
	}
	find_key(out, rel, key_index);
	relation_close(rel, AccessShareLock);
	return out;
}

ViewInfo
to_view_info(const ViewDefinition *definition)
{
	ViewInfo info;

	info.oid = definition->view;
	info.log = definition->log;
	info.epoch = definition->epoch;
	info.fingerprint = definition->fingerprint;
	info.name = definition->name;
	for (int i = 0; i < definition->columns; i++)
		info.columns.push_back(
			{definition->names[i], definition->types[i], definition->json_names[i]});
	info.key.assign(definition->key, definition->key + definition->key_columns);
	return info;
}

Right
right_to_read(Oid role, Oid view, const AttrNumber *attnums, int count)
{
	if (!pg::may_use_schema(get_rel_namespace(view), role))
		return Right::kNone;
	if (pg_class_aclcheck(view, role, ACL_SELECT) == ACLCHECK_OK)
		return Right::kGranted;
	if (attnums == nullptr)
		return pg_attribute_aclcheck_all(view, role, ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK
				   ? Right::kGranted
				   : Right::kDenied;
	for (int i = 0; i < count; i++)
		if (pg_attribute_aclcheck(view, attnums[i], role, ACL_SELECT) != ACLCHECK_OK)
			return Right::kDenied;
	return Right::kGranted;
}

} // namespace tw::gateway
