/*
 * hooks.cpp - tells the launcher of commands that concern the workers of a database.
 *
 * Commands that need a database without sessions (DROP, RENAME, SET TABLESPACE,
 * copying it as a template) first have its workers stopped, and keep them away
 * until the transaction ends. Everything else asks for a review at commit.
 * Permissions are checked by the commands themselves; here only so far that
 * nobody can stop the workers of a database that is not his.
 */
#include "worker/shared_state.hpp"
#include "worker/shmem.hpp"
#include "worker/worker.hpp"
#include "maintain/environment.hpp"

namespace tw::worker
{

namespace
{

ProcessUtility_hook_type previous_utility_hook = nullptr;
object_access_hook_type previous_object_access_hook = nullptr;

const char *
string_option(List *options, const char *name)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0 && option->arg)
			return defGetString(option);
	}
	return nullptr;
}

void
suspend(const char *database)
{
	Oid oid = database ? get_database_oid(database, true) : InvalidOid;

	if (OidIsValid(oid) && oid != MyDatabaseId && pg::owns_database(oid, GetUserId()))
		suspend_until_xact_end(oid);
}

void
before_utility(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			suspend(((DropdbStmt *) stmt)->dbname);
			break;
		case T_CreatedbStmt:
			suspend(string_option(((CreatedbStmt *) stmt)->options, "template"));
			break;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
				suspend(((RenameStmt *) stmt)->subname);
			break;
		case T_AlterDatabaseStmt:
			if (string_option(((AlterDatabaseStmt *) stmt)->options, "tablespace"))
				suspend(((AlterDatabaseStmt *) stmt)->dbname);
			break;
		default:
			break;
	}
}

void
review(const char *database, void (*request)(Oid))
{
	Oid oid = database ? get_database_oid(database, true) : InvalidOid;

	if (OidIsValid(oid))
		request(oid);
}

/* Settings of the workers, and those under which views of another database are evaluated: its workers see to that. */
bool
concerns_us(const VariableSetStmt *setting, const char *database)
{
	if (setting->kind == VAR_RESET_ALL)
		return true;
	if (!setting->name || !database)
		return false;
	return strncmp(setting->name, "tailwater.", strlen("tailwater.")) == 0 ||
		   (maintain::is_pinned_setting(setting->name) &&
			get_database_oid(database, true) != MyDatabaseId);
}

void
after_utility(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreatedbStmt:
			review(((CreatedbStmt *) stmt)->dbname, review_at_commit);
			break;
		case T_AlterDatabaseStmt:
			review(((AlterDatabaseStmt *) stmt)->dbname, review_at_commit);
			break;
		case T_AlterDatabaseSetStmt:
			if (concerns_us(((AlterDatabaseSetStmt *) stmt)->setstmt,
							((AlterDatabaseSetStmt *) stmt)->dbname))
				review(((AlterDatabaseSetStmt *) stmt)->dbname, restart_at_commit);
			break;
		case T_AlterRoleSetStmt:
			if (concerns_us(((AlterRoleSetStmt *) stmt)->setstmt,
							((AlterRoleSetStmt *) stmt)->database))
				review(((AlterRoleSetStmt *) stmt)->database, restart_at_commit);
			break;
		case T_TransactionStmt:
			/* Whether the prepared transaction wrote a log is not known any more. */
			if (((TransactionStmt *) stmt)->kind == TRANS_STMT_COMMIT_PREPARED)
			{
				check_at_commit();
				maintain_at_commit();
			}
			break;
		default:
			break;
	}
}

void
utility_hook(PlannedStmt *pstmt, const char *query, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
			 DestReceiver *dest, QueryCompletion *qc)
{
	Node *stmt = pstmt->utilityStmt;

	before_utility(stmt);
	if (previous_utility_hook)
		previous_utility_hook(pstmt, query, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);
	after_utility(stmt);
}

void
object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id, void *arg)
{
	if (previous_object_access_hook)
		previous_object_access_hook(access, class_id, object, sub_id, arg);
	if (access != OAT_DROP || class_id != ExtensionRelationId)
		return;

	char *name = get_extension_name(object);
	if (name && strcmp(name, "tailwater") == 0)
		review_at_commit(MyDatabaseId);
}

} // namespace

void
init_hooks()
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility_hook;
	previous_object_access_hook = object_access_hook;
	object_access_hook = object_access;
}

void
init()
{
	init_shmem();
	init_hooks();
	init_launcher();
}

} // namespace tw::worker
