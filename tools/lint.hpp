/*
 * lint.hpp - what cppcheck has to know of the server's macros (tools/lint).
 */
#define PG_VERSION_NUM 150000
#define PG_FUNCTION_ARGS FunctionCallInfo fcinfo
#define PG_FUNCTION_INFO_V1(x)
#define PG_MODULE_MAGIC
#define PGDLLEXPORT
#define PGDLLIMPORT
#define foreach(cell, list) for (ListCell *cell = list_head(list); cell; cell = lnext(list, cell))
