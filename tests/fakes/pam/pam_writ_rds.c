/*
 * Takes login tokens of RDS as PostgreSQL's PAM passwords, for tests, by the rules that tests/fakes/src/rds/mod.rs states.
 *
 *   auth required /path/pam_writ_rds.so keys=/path/to/keys endpoint=HOST:PORT region=REGION
 *
 * The file of keys belongs to whom the server runs as, or to root, and only its owner may write it. Each of its lines is
 *   ACCESS_KEY SECRET [SESSION_TOKEN]
 * What is wrong with a token goes to the system's log, never to the client. Nothing here is meant for use beyond tests.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#define PAM_SM_AUTH
#include <security/pam_ext.h>
#include <security/pam_modules.h>

enum { LONGEST = 8192, LIFE = 900, SKEW = 900, PARAMETERS = 9 };

static const char *const names[PARAMETERS] = {
	"Action", "DBUser", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
	"X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-SignedHeaders", "X-Amz-Signature",
};
enum { ACTION, USER, ALGORITHM, CREDENTIAL, DATE, EXPIRES, SESSION, SIGNED, SIGNATURE };

struct options { const char *keys, *endpoint, *region; };

static void hex(const unsigned char *bytes, size_t length, char *text) {
	for (size_t i = 0; i < length; i++) sprintf(text + 2 * i, "%02x", bytes[i]);
}

/* Decodes in place; a `%` without two digits, or a zero, is an error. */
static int decode(char *text) {
	char *out = text;
	for (; *text; text++) {
		if (*text != '%') { *out++ = *text; continue; }
		if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2])) return -1;
		char digits[3] = { text[1], text[2], 0 };
		long byte = strtol(digits, NULL, 16);
		if (byte == 0) return -1;
		*out++ = (char)byte;
		text += 2;
	}
	*out = 0;
	return 0;
}

/* Appends, percent-encoded or as it is; the buffer is three times as long as the longest token. */
static char *append(char *out, const char *text, int encoded) {
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;
		if (!encoded || isalnum(byte) || strchr("-._~", byte)) *out++ = *text;
		else out += sprintf(out, "%%%02X", byte);
	}
	*out = 0;
	return out;
}

/* The secret of a key, and its session token or an empty text. */
static const char *find_key(const char *path, const char *wanted, char *secret, char *session) {
	struct stat status;
	int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (descriptor < 0) return "the file of keys cannot be read";
	if (fstat(descriptor, &status) || (status.st_uid != 0 && status.st_uid != geteuid()) || (status.st_mode & 022)) {
		close(descriptor);
		return "the file of keys is another's, or others may write it";
	}
	FILE *file = fdopen(descriptor, "r");
	if (!file) { close(descriptor); return "the file of keys cannot be read"; }
	char *line = NULL;
	size_t room = 0;
	const char *wrong = "an access key that is not known";
	while (getline(&line, &room, file) > 0) {
		char *rest = NULL, *key = strtok_r(line, " \n", &rest);
		char *value = strtok_r(NULL, " \n", &rest), *token = strtok_r(NULL, " \n", &rest);
		if (!key || !value || strcmp(key, wanted)) continue;
		if (strlen(value) >= 256 || (token && strlen(token) > LONGEST)) break;
		strcpy(secret, value);
		strcpy(session, token ? token : "");
		wrong = NULL;
		break;
	}
	if (line) OPENSSL_cleanse(line, room);
	free(line);
	fclose(file);
	return wrong;
}

static int by_name(const void *left, const void *right) {
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void chain(unsigned char *key, size_t length, const char *text) {
	unsigned char out[32];
	HMAC(EVP_sha256(), key, (int)length, (const unsigned char *)text, strlen(text), out, NULL);
	memcpy(key, out, sizeof out);
}

/* What is wrong with the token, or nothing. It is taken apart in place. */
static const char *check(char *token, const char *user, const struct options *options, time_t now) {
	char *query = strstr(token, "/?"), *values[PARAMETERS] = { 0 }, *rest = NULL;
	if (!query) return "not a token: it has no `/?`";
	*query = 0;
	query += 2;
	if (strcmp(token, options->endpoint)) return "a token for another host or port";
	for (char *part = strtok_r(query, "&", &rest); part; part = strtok_r(NULL, "&", &rest)) {
		char *value = strchr(part, '=');
		if (!value) return "a parameter without a value";
		*value++ = 0;
		if (decode(part) || decode(value)) return "a token that is not percent-encoded";
		int which = 0;
		while (which < PARAMETERS && strcmp(names[which], part)) which++;
		if (which == PARAMETERS) return "a token with an unknown parameter";
		if (values[which]) return "a token with a parameter twice";
		values[which] = value;
	}
	for (int which = 0; which < PARAMETERS; which++)
		if (which != SESSION && !values[which]) return "a token without one of its parameters";
	if (strcmp(values[ACTION], "connect")) return "a token for another action";
	if (strcmp(values[USER], user)) return "a token for another user";
	if (strcmp(values[ALGORITHM], "AWS4-HMAC-SHA256")) return "a token with another algorithm";
	if (strcmp(values[SIGNED], "host")) return "a token that signs something else than `host`";
	if (strspn(values[EXPIRES], "0123456789") != strlen(values[EXPIRES]) || strlen(values[EXPIRES]) > 3)
		return "a life that is not within 1 and 900 s";
	long life = strtol(values[EXPIRES], NULL, 10);
	if (life < 1 || life > LIFE) return "a life that is not within 1 and 900 s";

	struct tm when = { 0 };
	char *end = strptime(values[DATE], "%Y%m%dT%H%M%SZ", &when);
	if (!end || *end || strlen(values[DATE]) != 16) return "a date that is none";
	time_t at = timegm(&when);
	if (at > now + SKEW) return "signature not yet current";
	if (now - at >= life) return "signature expired";

	char scope[512], access_key[160], day[9];
	memcpy(day, values[DATE], 8);
	day[8] = 0;
	char *slash = strchr(values[CREDENTIAL], '/');
	if (!slash || (size_t)(slash - values[CREDENTIAL]) >= sizeof access_key) return "a credential that is none";
	memcpy(access_key, values[CREDENTIAL], (size_t)(slash - values[CREDENTIAL]));
	access_key[slash - values[CREDENTIAL]] = 0;
	snprintf(scope, sizeof scope, "%s/%s/rds-db/aws4_request", day, options->region);
	if (strcmp(slash + 1, scope)) return "a token for another day, service or region";

	static char secret[256], session[LONGEST + 1], canonical[3 * LONGEST + 4096];
	const char *wrong = find_key(options->keys, access_key, secret, session);
	if (wrong) return wrong;
	if (strcmp(values[SESSION] ? values[SESSION] : "", session)) return "a session token that is not the key's own";

	/* Names in order; the signature itself is not signed. */
	const char *order[PARAMETERS];
	memcpy(order, names, sizeof order);
	qsort(order, PARAMETERS, sizeof *order, by_name);
	char *out = append(canonical, "GET\n/\n", 0);
	const char *joint = "";
	for (int i = 0; i < PARAMETERS; i++) {
		int which = 0;
		while (strcmp(names[which], order[i])) which++;
		if (which == SIGNATURE || !values[which]) continue;
		out = append(out, joint, 0);
		out = append(out, names[which], 1);
		out = append(out, "=", 0);
		out = append(out, values[which], 1);
		joint = "&";
	}
	out = append(out, "\nhost:", 0);
	out = append(out, options->endpoint, 0);
	append(out, "\n\nhost\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0);

	unsigned char digest[32], key[300];
	char digits[65], text[1024], expected[65];
	SHA256((const unsigned char *)canonical, strlen(canonical), digest);
	hex(digest, sizeof digest, digits);
	snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", values[DATE], scope, digits);
	int length = snprintf((char *)key, sizeof key, "AWS4%s", secret);
	chain(key, (size_t)length, day);
	chain(key, 32, options->region);
	chain(key, 32, "rds-db");
	chain(key, 32, "aws4_request");
	chain(key, 32, text);
	hex(key, 32, expected);
	OPENSSL_cleanse(key, sizeof key);
	OPENSSL_cleanse(secret, sizeof secret);
	if (strlen(values[SIGNATURE]) != 64 || CRYPTO_memcmp(values[SIGNATURE], expected, 64))
		return "a signature of something else, or by another key";
	return NULL;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int count, const char **arguments) {
	struct options options = { 0 };
	(void)flags;
	for (int i = 0; i < count; i++) {
		if (!strncmp(arguments[i], "keys=", 5)) options.keys = arguments[i] + 5;
		else if (!strncmp(arguments[i], "endpoint=", 9)) options.endpoint = arguments[i] + 9;
		else if (!strncmp(arguments[i], "region=", 7)) options.region = arguments[i] + 7;
		else return PAM_SERVICE_ERR;
	}
	if (!options.keys || !options.endpoint || !options.region) return PAM_SERVICE_ERR;
	const char *user = NULL, *given = NULL;
	if (pam_get_user(handle, &user, NULL) != PAM_SUCCESS || !user) return PAM_USER_UNKNOWN;
	if (pam_get_authtok(handle, PAM_AUTHTOK, &given, NULL) != PAM_SUCCESS || !given) return PAM_AUTH_ERR;
	size_t length = strlen(given);
	if (length > LONGEST) {
		pam_syslog(handle, LOG_NOTICE, "a token of %zu bytes, more than %d", length, LONGEST);
		return PAM_AUTH_ERR;
	}
	char *token = strdup(given);
	if (!token) return PAM_BUF_ERR;
	const char *wrong = check(token, user, &options, time(NULL));
	OPENSSL_cleanse(token, length);
	free(token);
	if (!wrong) return PAM_SUCCESS;
	pam_syslog(handle, LOG_NOTICE, "refused: %s", wrong);
	return PAM_AUTH_ERR;
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int count, const char **arguments) {
	(void)handle, (void)flags, (void)count, (void)arguments;
	return PAM_SUCCESS;
}
