/*
 * Asks libpam about a user, with services from a directory of one's own, which needs no root:
 *
 *   pam_try DIRECTORY SERVICE USER <PASSWORD
 *
 * The conversation is as PostgreSQL's own: the password whole, whatever its length. Prints `yes`, or `no` and libpam's reason.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <security/pam_appl.h>

static char password[65536];

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data) {
	(void)data;
	*responses = calloc((size_t)count, sizeof **responses);
	if (!*responses) return PAM_CONV_ERR;
	for (int i = 0; i < count; i++) {
		if (messages[i]->msg_style != PAM_PROMPT_ECHO_OFF) continue;
		(*responses)[i].resp = strdup(password);
		if (!(*responses)[i].resp) return PAM_CONV_ERR;
	}
	return PAM_SUCCESS;
}

int main(int count, char **arguments) {
	struct pam_conv conversation = { converse, NULL };
	pam_handle_t *handle = NULL;
	if (count != 4) return 2;
	size_t length = fread(password, 1, sizeof password - 1, stdin);
	password[length] = 0;
	if (pam_start_confdir(arguments[2], arguments[3], &conversation, arguments[1], &handle) != PAM_SUCCESS) return 2;
	int status = pam_authenticate(handle, 0);
	if (status == PAM_SUCCESS) status = pam_acct_mgmt(handle, 0);
	if (status == PAM_SUCCESS) puts("yes");
	else printf("no: %s\n", pam_strerror(handle, status));
	pam_end(handle, status);
	return 0;
}
