/* server.h: the admin API's listener: HTTP in, api.h's calls, HTTP out; who may ask. Control thread. */
#ifndef ADMIN_SERVER_H
#define ADMIN_SERVER_H

#include <stddef.h>

#include "daemon/base/check.h"

struct admin_server;
struct app;

struct admin_options {
	const char *listen;             /* unix:PATH or HOST:PORT */
	const char *token;              /* for HOST:PORT; lives as long as the server */
};

/* Listens at once, answers when the loop turns. NULL with words in err. */
struct admin_server *admin_server_start(struct app *app, const struct admin_options *options, char *err, size_t err_len) MUST_CHECK;
/* No request may be under way. Closes connections, removes the socket. Takes NULL. */
void admin_server_stop(struct admin_server *server);

#endif
