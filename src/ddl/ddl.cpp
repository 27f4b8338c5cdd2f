/*
 * ddl.cpp - the ProcessUtility hook.
 *
 * Each command that concerns live views has one function here; it takes what is
 * tailwater's out of a copy of the parse tree, lets the server do the rest, and
 * then calls the stages of maintenance in the same transaction. All other
 * commands run as they are. After any of them settle() looks at what
 * happened to things that live views depend on - not inside an ALTER TABLE or
 * CREATE SCHEMA, whose parts run as commands of their own while the whole is
 * half done.
 */
#include "ddl/ddl.hpp"

#include "analyze/refusal.hpp"
#include "catalog/internal_table.hpp"
#include "catalog/label.hpp"
#include "ddl/aftermath.hpp"
#include "ddl/aside.hpp"
#include "ddl/conduct.hpp"
#include "ddl/options.hpp"
#include "maintain/replica_identity.hpp"
#include "tail/lexer.hpp"

namespace tw::ddl
{

namespace
{

ProcessUtility_hook_type previous_hook = nullptr;

/* Number of ALTER TABLE and CREATE SCHEMA commands under way in this backend. */
int composites = 0;

/* The arguments of the hook. */
struct Command
{
	PlannedStmt *pstmt;
	const char *text;
	bool read_only;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *environment;
	DestReceiver *dest;
	QueryCompletion *completion;
};

void
pass_on(const Command &c)
{
	if (previous_hook)
		previous_hook(c.pstmt, c.text, c.read_only, c.context, c.params, c.environment, c.dest,
					  c.completion);
	else
		standard_ProcessUtility(c.pstmt, c.text, c.read_only, c.context, c.params, c.environment,
								c.dest, c.completion);
}

/* Runs the command with its kind known to the object-access hook. */
void
run(const Command &c)
{
	NodeTag tag = nodeTag(c.pstmt->utilityStmt);
	int composite = tag == T_AlterTableStmt || tag == T_CreateSchemaStmt ? 1 : 0;
	NodeTag outer = enter_command(tag);

	composites += composite;
	PG_TRY();
	{
		pass_on(c);
	}
	PG_FINALLY();
	{
		composites -= composite;
		enter_command(outer);
	}
	PG_END_TRY();
}

/* The command with a tree of its own, which may be changed. */
Command
with_own_tree(const Command &c)
{
	Command copy = c;

	copy.pstmt = static_cast<PlannedStmt *>(copyObjectImpl(c.pstmt));
	copy.read_only = false;
	return copy;
}

ParseState *
parse_state(const Command &c)
{
	ParseState *pstate = make_parsestate(nullptr);

	pstate->p_sourcetext = c.text;
	return pstate;
}

/* True if the command is alone in its transaction, which may be committed before the command is over. */
bool
may_commit(const Command &c)
{
	return c.context == PROCESS_UTILITY_TOPLEVEL && !IsInTransactionBlock(true);
}

/* Attaches a listed view, beside its writers if the command may do so. */
int64
attach(const Command &c, Oid view, maintain::Build wanted)
{
	catalog::Listing listing;

	if (!may_commit(c) || !catalog::find_listing(view, &listing))
		return attach_listed(view);
	wanted.database = MyDatabaseId;
	wanted.view = view;
	wanted.mode = listing.mode;
	wanted.feed = listing.feed;
	return attach_aside(wanted, Caller::kUtility);
}

/* True if the tokens from here on are the words, in this order. */
bool
words_follow(const tail::Tokens &tokens, int at, List *words)
{
	ListCell *lc;

	foreach (lc, words)
	{
		if (at >= tokens.count || !tail::is_word(tokens.at[at], strVal(lfirst(lc))))
			return false;
		at++;
	}
	return true;
}

/* Byte offset of a name or some keywords in the command, -1 if they are not there. */
int
find_words(const Command &c, const char *words)
{
	int begin = Max(c.pstmt->stmt_location, 0);
	tail::Tokens tokens = tail::scan(c.text + begin);
	List *keywords = NIL;
	char *rest = pstrdup(words);

	for (char *word; (word = strsep(&rest, " ")) != nullptr;)
		keywords = lappend(keywords, makeString(word));
	for (int i = 0; i < tokens.count; i++)
		if ((tokens.at[i].kind == tail::kIdent && strcmp(tokens.at[i].text, words) == 0) ||
			words_follow(tokens, i, keywords))
			return begin + tokens.at[i].start;
	return -1;
}

void
check_maintainable(Query *query, const Command &c)
{
	analyze::Refusal refusal = analyze::find_refusal(query, analyze::Functions::kCalled);

	if (refusal.construct == nullptr)
		return;
	if (refusal.location < 0 && refusal.words && c.text)
		refusal.location = find_words(c, refusal.words);
	analyze::raise_refusal(refusal, c.text);
}

/* The materialized view that this transaction just created under the name, if it did. */
Oid
created_view(const RangeVar *name, Oid schema)
{
	Oid view = get_relname_relid(name->relname, schema);
	HeapTuple tup = OidIsValid(view) ? SearchSysCache1(RELOID, ObjectIdGetDatum(view)) : nullptr;

	if (!HeapTupleIsValid(tup))
		return InvalidOid;

	/* Somebody else may have created it meanwhile, and IF NOT EXISTS left it alone. */
	bool ours = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tup->t_data)) &&
				get_rel_relkind(view) == RELKIND_MATVIEW;
	ReleaseSysCache(tup);
	return ours ? view : InvalidOid;
}

/*
 * CREATE MATERIALIZED VIEW ... WITH (tailwater...), plain or under EXPLAIN
 * ANALYZE. `ctas` is part of the command's own tree.
 */
void
create_view(const Command &c, CreateTableAsStmt *ctas)
{
	IntoClause *into = ctas->into;
	ParseState *pstate = parse_state(c);
	ViewOptions options;

	if (ctas->objtype != OBJECT_MATVIEW)
		refuse_options(pstate, into->options, "a table");
	into->options = extract_options(pstate, into->options, Change::kSet, &options);
	if (options.maintain != Change::kSet)
		ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("option \"tailwater.feed\" requires \"tailwater.maintain\""),
				errhint("Set tailwater.maintain to \"immediate\" or \"deferred\"."));

	Oid schema = RangeVarGetCreationNamespace(into->rel);
	bool existed = OidIsValid(get_relname_relid(into->rel->relname, schema));
	RangeVar *name = static_cast<RangeVar *>(copyObjectImpl(into->rel));

	/* The stored query has no positions. */
	if (catalog::extension_present() && IsA(ctas->query, Query))
		check_maintainable(castNode(Query, ctas->query), c);

	/* The content is computed once, when writers of the base tables are locked out. */
	bool fill = !into->skipData && !existed && IsA(c.pstmt->utilityStmt, CreateTableAsStmt);
	if (fill)
		into->skipData = true;
	run(c);
	CommandCounterIncrement();
	settle();

	Oid view = existed ? InvalidOid : created_view(name, schema);
	if (!OidIsValid(view))
		return;
	apply_options(view, options);
	if (!fill)
		return;

	maintain::Build wanted = {};
	wanted.created = wanted.listed = true;
	int64 rows = attach(c, view, wanted);
	if (c.completion)
		SetQueryCompletion(c.completion, CMDTAG_SELECT, rows);
}

/* The CREATE MATERIALIZED VIEW or CREATE TABLE AS that an EXPLAIN explains, or null. */
CreateTableAsStmt *
explained_create(Node *tree)
{
	Node *query = castNode(ExplainStmt, tree)->query;

	if (query == nullptr || !IsA(query, Query))
		return nullptr;

	Node *utility = castNode(Query, query)->utilityStmt;
	return utility && IsA(utility, CreateTableAsStmt) ? castNode(CreateTableAsStmt, utility)
													  : nullptr;
}

CreateTableAsStmt *
created_by(Node *tree)
{
	return IsA(tree, ExplainStmt) ? explained_create(tree) : castNode(CreateTableAsStmt, tree);
}

/* Takes tailwater's options out of SET and RESET subcommands; those left empty vanish. */
ViewOptions
strip_subcommands(ParseState *pstate, AlterTableStmt *alter)
{
	ViewOptions options;
	List *rest = NIL;
	ListCell *lc;

	foreach (lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ResetRelOptions)
		{
			List *defs = reinterpret_cast<List *>(cmd->def);
			Change change = cmd->subtype == AT_SetRelOptions ? Change::kSet : Change::kReset;
			List *plain = extract_options(pstate, defs, change, &options);

			cmd->def = reinterpret_cast<Node *>(plain);
			if (plain == NIL && defs != NIL)
				continue;
		}
		rest = lappend(rest, cmd);
	}
	alter->cmds = rest;
	return options;
}

bool
alters_options(AlterTableStmt *alter)
{
	ListCell *lc;

	foreach (lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if ((cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ResetRelOptions) &&
			has_options(reinterpret_cast<List *>(cmd->def)))
			return true;
	}
	return false;
}

/* True for DISABLE and ENABLE TRIGGER ALL, with which a restore of data alone surrounds each table. */
bool
switches_triggers(AlterTableStmt *alter)
{
	ListCell *lc;

	foreach (lc, alter->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, lc)->subtype;

		if (type != AT_DisableTrigAll && type != AT_EnableTrigAll)
			return false;
	}
	return true;
}

/*
 * DETACH PARTITION ... CONCURRENTLY commits in the middle, and from then on
 * readers of the table miss rows that the views still have.
 */
void
refuse_concurrent_detach(AlterTableStmt *alter, Oid relation)
{
	ListCell *lc;

	foreach (lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DetachPartition && castNode(PartitionCmd, cmd->def)->concurrent &&
			catalog::is_base(relation))
			ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot detach a partition of table \"%s\" concurrently",
						   get_rel_name(relation)),
					errdetail(
						"A materialized view that tailwater keeps up to date reads the table."),
					errhint("Use DETACH PARTITION without CONCURRENTLY."));
	}
}

/* What somebody sets himself is not taken back when deferred views need it no more. */
void
note_identity(AlterTableStmt *alter, Oid relation)
{
	ListCell *lc;

	if (!catalog::extension_present())
		return;
	foreach (lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_ReplicaIdentity &&
			castNode(ReplicaIdentityStmt, cmd->def)->identity_type == REPLICA_IDENTITY_FULL)
			maintain::keep_whole_rows(relation);
	}
}

bool
changes_owner(AlterTableStmt *alter)
{
	ListCell *lc;

	foreach (lc, alter->cmds)
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_ChangeOwner)
			return true;
	return false;
}

/* ALTER TABLE, ALTER MATERIALIZED VIEW and their like. */
void
alter_relation(const Command &c)
{
	AlterTableStmt *alter = castNode(AlterTableStmt, c.pstmt->utilityStmt);
	Oid relation = RangeVarGetRelid(alter->relation, NoLock, true);

	/* The triggers of our own tables stay on: one of them takes in the list of views. */
	if (OidIsValid(relation) && switches_triggers(alter) && catalog::extension_present() &&
		get_rel_namespace(relation) == catalog::internal_namespace())
		return;
	if (!alters_options(alter))
	{
		if (OidIsValid(relation))
			refuse_concurrent_detach(alter, relation);
		if (OidIsValid(relation) && composites == 0 && pg::owns_relation(relation, GetUserId()))
			lock_with_base(relation);
		run(c);
		/* Not every subcommand tells the object-access hook. */
		if (OidIsValid(relation))
		{
			note_identity(alter, relation);
			note_altered(relation);
		}
		/* Policies of a table do not hold for its owner. */
		if (changes_owner(alter) && composites == 0 && get_rel_relkind(relation) != RELKIND_MATVIEW)
			roles_altered();
		return;
	}

	Command own = with_own_tree(c);

	alter = castNode(AlterTableStmt, own.pstmt->utilityStmt);

	RangeVar *name = static_cast<RangeVar *>(copyObjectImpl(alter->relation));
	bool missing_ok = alter->missing_ok;
	ViewOptions options = strip_subcommands(parse_state(c), alter);

	if (OidIsValid(relation))
		lock_with_view(relation);
	/* Even with nothing left to do the server checks kind and ownership and locks. */
	run(own);
	if (composites > 0)
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot change options of tailwater inside another ALTER TABLE"));
	settle();

	relation = RangeVarGetRelid(name, AccessExclusiveLock, missing_ok);
	if (!OidIsValid(relation))
		return;
	if (get_rel_relkind(relation) != RELKIND_MATVIEW)
		ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("\"%s\" is not a materialized view", name->relname),
				errhint("Only materialized views can be kept up to date."));

	catalog::Listing before;
	maintain::Build wanted = {};
	wanted.listed = !catalog::find_listing(relation, &before);
	if (prepare_options(relation, options))
		attach(own, relation, wanted);
}

/*
 * The lock that a REFRESH of a view begins with: that of the server, but for an
 * attached one, which its writers and readers go on using.
 */
LOCKMODE
refresh_lock(RefreshMatViewStmt *refresh)
{
	catalog::LiveView live;
	Oid view = RangeVarGetRelid(refresh->relation, NoLock, true);

	if (OidIsValid(view) && !refresh->skipData && catalog::find_live_view(view, &live))
		return ShareUpdateExclusiveLock;
	return refresh->concurrent ? ExclusiveLock : AccessExclusiveLock;
}

/* The view a REFRESH names, locked, if it is on the list; else InvalidOid. */
Oid
listed_view(RefreshMatViewStmt *refresh)
{
	catalog::Listing listing;
	catalog::LiveView live;

	if (!catalog::extension_present())
		return InvalidOid;

	LOCKMODE lock = refresh_lock(refresh);
	Oid view = RangeVarGetRelidExtended(refresh->relation, lock, 0, pg::check_may_refresh, nullptr);
	/* Released before it was locked. */
	if (lock == ShareUpdateExclusiveLock && !catalog::find_live_view(view, &live))
		LockRelationOid(view, AccessExclusiveLock);

	return OidIsValid(view) && catalog::find_listing(view, &listing) ? view : InvalidOid;
}

/* REFRESH of an attached view, with the event triggers that the server's own would fire. */
void
refresh_attached(const Command &c, Oid view)
{
	Node *tree = c.pstmt->utilityStmt;
	bool complete = c.context != PROCESS_UTILITY_SUBCOMMAND;
	bool collecting = complete && EventTriggerBeginCompleteQuery();

	PG_TRY();
	{
		if (complete)
			EventTriggerDDLCommandStart(tree);

		Relation rel = table_open(view, NoLock);
		CheckTableNotInUse(rel, "REFRESH MATERIALIZED VIEW");
		table_close(rel, NoLock);

		int64 changed = refresh_view(view);
		if (c.completion)
			SetQueryCompletion(c.completion, CMDTAG_REFRESH_MATERIALIZED_VIEW, changed);

		ObjectAddress address;
		ObjectAddressSet(address, RelationRelationId, view);
		EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, tree);
		if (complete)
			EventTriggerDDLCommandEnd(tree);
	}
	PG_FINALLY();
	{
		if (collecting)
			EventTriggerEndCompleteQuery();
	}
	PG_END_TRY();
}

/*
 * REFRESH: an attached view publishes the net difference; a listed one is
 * attached; WITH NO DATA makes it plain until the next REFRESH.
 */
void
refresh(const Command &c)
{
	RefreshMatViewStmt *stmt = castNode(RefreshMatViewStmt, c.pstmt->utilityStmt);
	catalog::LiveView live;

	/* What the server would check first, before the look-up takes a lock. */
	PreventCommandIfReadOnly("REFRESH MATERIALIZED VIEW");
	PreventCommandIfParallelMode("REFRESH MATERIALIZED VIEW");
	PreventCommandDuringRecovery("REFRESH MATERIALIZED VIEW");

	Oid view = listed_view(stmt);

	if (OidIsValid(view))
		check_not_being_built(view);
	if (!OidIsValid(view))
	{
		Oid plain = RangeVarGetRelid(stmt->relation, NoLock, true);

		run(c);
		/* Live views that read a plain one change with it. */
		if (OidIsValid(plain))
			note_altered(plain);
		return;
	}

	bool attached = catalog::find_live_view(view, &live);

	if (attached && !stmt->skipData)
	{
		refresh_attached(c, view);
		return;
	}
	if (attached)
		detach_listed(view);

	/* Attaching computes the content, and under settings that a restore has otherwise. */
	bool skip_data = stmt->skipData;
	Command emptying = with_own_tree(c);

	castNode(RefreshMatViewStmt, emptying.pstmt->utilityStmt)->skipData = !stmt->concurrent;
	run(skip_data || stmt->concurrent ? c : emptying);
	settle();
	if (!skip_data)
		attach_listed(view);
}

/*
 * SECURITY LABEL FOR tailwater: what a dump says of a live view. Without the
 * extension, and in pg_upgrade, which brings the list itself, it is only a label.
 */
void
label_view(const Command &c)
{
	SecLabelStmt *stmt = castNode(SecLabelStmt, c.pstmt->utilityStmt);
	ViewOptions options;

	run(c);
	if (stmt->objtype != OBJECT_MATVIEW || IsBinaryUpgrade || !catalog::extension_present() ||
		(stmt->provider && strcmp(stmt->provider, catalog::kLabelProvider) != 0))
		return;

	RangeVar *name = makeRangeVarFromNameList(castNode(List, stmt->object));
	Oid view = RangeVarGetRelid(name, stmt->label ? AccessExclusiveLock : NoLock, true);
	ObjectAddress object;

	ObjectAddressSet(object, RelationRelationId, view);
	CommandCounterIncrement();
	/* Without FOR it may have been another provider's. */
	const char *label = GetSecurityLabel(&object, catalog::kLabelProvider);
	catalog::Listing listing;
	if (!label && catalog::find_listing(view, &listing))
		(void) release_view(view);
	if (!label)
		return;
	listing = catalog::read_label(label);
	options.maintain = options.feed = Change::kSet;
	options.mode = listing.mode;
	options.feed_on = listing.feed;
	apply_options(view, options);
}

/* DROP EXTENSION tailwater without CASCADE, while it has work to do, names the views. */
void
check_drop(DropStmt *drop)
{
	StringInfoData names;
	ListCell *lc;
	bool ours = false;

	if (drop->removeType != OBJECT_EXTENSION || drop->behavior != DROP_RESTRICT)
		return;
	foreach (lc, drop->objects)
		ours = ours || strcmp(strVal(lfirst(lc)), "tailwater") == 0;

	List *views = ours ? catalog::attached_views() : NIL;
	if (views == NIL)
		return;

	initStringInfo(&names);
	foreach (lc, views)
	{
		Oid view = lfirst_oid(lc);

		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(view)),
													get_rel_name(view)));
	}
	ereport(ERROR, errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			errmsg(
				"cannot drop extension tailwater because it keeps materialized views up to date"),
			errdetail("Live views: %s.", names.data),
			errhint("Use DROP ... CASCADE; the views become ordinary materialized views."));
}

/*
 * ALTER TYPE ... ADD or RENAME VALUE: views that list labels, or show them as text, are
 * brought in line. A new label can be used only after the command has been committed.
 */
void
alter_enum(const Command &c)
{
	AlterEnumStmt *alter = castNode(AlterEnumStmt, c.pstmt->utilityStmt);
	bool added = alter->oldVal == nullptr;
	Oid type = LookupTypeNameOid(nullptr, makeTypeNameFromNameList(alter->typeName), true);
	List *views = OidIsValid(type) ? views_with_labels(type, added ? analyze::Labels::kAdded
																   : analyze::Labels::kRenamed)
								   : NIL;
	ListCell *lc;

	if (views != NIL && added && !may_commit(c))
		ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot add a value to enum type %s inside a transaction block",
					   format_type_be(type)),
				errdetail("Materialized view \"%s\", which tailwater keeps up to date, lists its "
						  "values, and a new value can only be read once it is committed.",
						  get_rel_name(linitial_oid(views))),
				errhint("Run ALTER TYPE on its own."));
	run(c);
	if (views == NIL)
		return;
	settle();
	if (added)
		commit_and_begin();
	foreach (lc, views)
		query_altered(lfirst_oid(lc));
}

/* DROP MATERIALIZED VIEW: writers of the tables are done before the view is locked. */
void
lock_before_drop(DropStmt *drop)
{
	ListCell *lc;

	if (drop->removeType != OBJECT_MATVIEW || drop->concurrent)
		return;
	foreach (lc, drop->objects)
	{
		RangeVar *name = makeRangeVarFromNameList(lfirst_node(List, lc));
		Oid view = RangeVarGetRelid(name, NoLock, true);

		if (OidIsValid(view))
			lock_with_view(view);
	}
}

/* True for commands that can neither concern a live view nor leave notes. */
bool
is_session_command(NodeTag tag)
{
	switch (tag)
	{
		case T_TransactionStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
		case T_PrepareStmt:
		case T_DeallocateStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_NotifyStmt:
		case T_LockStmt:
		case T_ConstraintsSetStmt:
		case T_CheckPointStmt:
		case T_LoadStmt:
		case T_DiscardStmt:
			return true;
		default:
			return false;
	}
}

void
dispatch(const Command &c)
{
	Node *tree = c.pstmt->utilityStmt;

	switch (nodeTag(tree))
	{
		case T_CreateTableAsStmt:
		case T_ExplainStmt:
			if (CreateTableAsStmt *ctas = created_by(tree);
				ctas != nullptr && has_options(ctas->into->options))
			{
				Command own = with_own_tree(c);

				create_view(own, created_by(own.pstmt->utilityStmt));
			}
			else
				run(c);
			break;
		case T_CreateStmt:
			refuse_options(parse_state(c), castNode(CreateStmt, tree)->options, "a table");
			run(c);
			break;
		case T_AlterTableStmt:
			alter_relation(c);
			break;
		case T_RefreshMatViewStmt:
			refresh(c);
			break;
		case T_SecLabelStmt:
			label_view(c);
			break;
		case T_CreateRoleStmt:
		case T_AlterRoleStmt:
		case T_DropRoleStmt:
		case T_GrantRoleStmt:
		case T_ReassignOwnedStmt:
			run(c);
			roles_altered();
			break;
		case T_AlterDatabaseSetStmt:
		case T_AlterRoleSetStmt:
			run(c);
			CommandCounterIncrement();
			settings_altered();
			break;
		case T_AlterEnumStmt:
			alter_enum(c);
			break;
		case T_TruncateStmt:
			prepare_truncate(castNode(TruncateStmt, tree));
			run(c);
			break;
		case T_DropStmt:
			check_drop(castNode(DropStmt, tree));
			lock_before_drop(castNode(DropStmt, tree));
			run(c);
			break;
		default:
			run(c);
			break;
	}
}

void
process_utility(PlannedStmt *pstmt, const char *text, bool read_only, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	Command c = {pstmt, text, read_only, context, params, environment, dest, completion};

	if (conducting() || is_session_command(nodeTag(pstmt->utilityStmt)))
	{
		pass_on(c);
		return;
	}
	dispatch(c);
	if (composites == 0 && context != PROCESS_UTILITY_SUBCOMMAND)
		settle();
}

} // namespace

void
init()
{
	previous_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	init_aftermath();
}

} // namespace tw::ddl
