#include "options_private.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int HcValueBool(const char *text, PetscBool *value, char why[HC_WHY]) {
  static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no", "off", "0"};
  for (int i = 0; i < 4; ++i) {
    if (!strcasecmp(text, yes[i])) return *value = PETSC_TRUE, 0;
    if (!strcasecmp(text, no[i])) return *value = PETSC_FALSE, 0;
  }
  snprintf(why, HC_WHY, "is not true or false");
  return 1;
}

int HcValueInt(const char *text, PetscInt *value, char why[HC_WHY]) {
  char *end;
  errno = 0;
  const long long v = strtoll(text, &end, 10);
  while (isspace((unsigned char)*end)) ++end;
  if (end == text || *end) {
    snprintf(why, HC_WHY, "is not an integer");
    return 1;
  }
  if (errno || v > PETSC_MAX_INT || v < PETSC_MIN_INT) {
    snprintf(why, HC_WHY, "does not fit into an integer of %d bits", (int)(8 * sizeof(PetscInt)));
    return 1;
  }
  *value = (PetscInt)v;
  return 0;
}

/* number or pi, with an optional power; NULL if there is none */
static const char *read_factor(const char *p, double *value) {
  double sign = 1;
  while (isspace((unsigned char)*p)) ++p;
  if (*p == '-' || *p == '+') sign = *p++ == '-' ? -1 : 1;
  if (!strncmp(p, "pi", 2) && !isalnum((unsigned char)p[2]) && p[2] != '_') {
    *value = M_PI;
    p += 2;
  } else {
    char *end;
    if (!isdigit((unsigned char)*p) && *p != '.') return NULL; /* strtod would take inf, nan and blanks */
    *value = strtod(p, &end);
    if (end == p) return NULL;
    p = end;
  }
  while (isspace((unsigned char)*p)) ++p;
  if (*p == '^') {
    double power;
    p = read_factor(p + 1, &power);
    if (!p) return NULL;
    *value = pow(*value, power);
  }
  *value *= sign;
  return p;
}

int HcValueReal(const char *text, PetscReal *value, char why[HC_WHY]) {
  double v = 0, factor;
  const char *p = read_factor(text, &v);
  while (p) {
    while (isspace((unsigned char)*p)) ++p;
    if (*p != '*' && *p != '/') break;
    const char op = *p;
    p = read_factor(p + 1, &factor);
    v = op == '*' ? v * factor : v / factor;
  }
  if (!p || *p) {
    snprintf(why, HC_WHY, "is not a number");
    return 1;
  }
  if (!isfinite(v)) {
    snprintf(why, HC_WHY, "is not a finite number");
    return 1;
  }
  *value = v;
  return 0;
}

int HcValueDuration(const char *text, PetscReal *value, char why[HC_WHY]) {
  double days = 0, total = 0;
  const char *p = text, *dash = strchr(text, '-');
  int parts = 0;
  char *end;
  if (dash && dash != text && strchr(text, ':')) { /* days-hh:mm:ss, as Slurm writes it */
    days = strtod(text, &end);
    if (end != dash) goto bad;
    p = dash + 1;
  }
  for (;; ++p) {
    if (!isdigit((unsigned char)*p) && *p != '.') goto bad;
    const double v = strtod(p, &end);
    if (parts && v >= 60) goto bad;
    total = 60 * total + v;
    ++parts;
    p = end;
    if (*p != ':') break;
  }
  if (*p || parts > 3) goto bad;
  *value = total + 86400 * days;
  return 0;
bad:
  snprintf(why, HC_WHY, "is not a duration (hh:mm:ss, mm:ss or seconds)");
  return 1;
}

int HcValueWord(const char *text, const char *allowed, PetscInt *index, char why[HC_WHY]) {
  char words[2048], *save = NULL;
  const char *best = NULL;
  int distance = INT_MAX;
  PetscInt i = 0;
  snprintf(words, sizeof words, "%s", allowed);
  for (char *w = strtok_r(words, "|", &save); w; w = strtok_r(NULL, "|", &save), ++i) {
    if (!strcmp(w, text)) return *index = i, 0;
    HcNearestOffer(text, w, &best, &distance);
  }
  if (!best)
    snprintf(why, HC_WHY, "nothing can be chosen here");
  else if (i <= 16) {
    int n = snprintf(why, HC_WHY, "is not one of ");
    for (const char *p = allowed; *p && n < HC_WHY - 60; ++p) n += snprintf(why + n, HC_WHY - n, *p == '|' ? ", " : "%c", *p);
    if (HcNearestIsNear(text, distance)) snprintf(why + n, HC_WHY - n, " (did you mean '%s'?)", best);
  } else
    snprintf(why, HC_WHY, "is not known (nearest: '%s'; -list prints all)", best);
  return 1;
}

int HcValueInRange(double value, const char *allowed, char why[HC_WHY]) {
  char *end;
  if (!allowed || (*allowed != '[' && *allowed != '(')) return 0;
  const double lo = strtod(allowed + 1, &end);
  const double hi = strtod(end + 1, &end);
  const int low = *allowed == '[' ? value >= lo : value > lo, high = *end == ']' ? value <= hi : value < hi;
  if (low && high) return 0;
  if (!low && isinf(hi))
    snprintf(why, HC_WHY, "must be %s %g", *allowed == '[' ? "at least" : "greater than", lo);
  else if (!high && isinf(lo))
    snprintf(why, HC_WHY, "must be %s %g", *end == ']' ? "at most" : "less than", hi);
  else
    snprintf(why, HC_WHY, "is out of range %s", allowed);
  return 1;
}

const char *HcValueNext(const char *list, char *item, size_t size) {
  if (!list) return NULL;
  const char *comma = strchr(list, ',');
  size_t n = comma ? (size_t)(comma - list) : strlen(list);
  const char *start = list;
  while (n && isspace((unsigned char)*start)) ++start, --n;
  while (n && isspace((unsigned char)start[n - 1])) --n;
  if (n >= size) n = size - 1;
  memcpy(item, start, n);
  item[n] = 0;
  return comma ? comma + 1 : "";
}

static int check_one(const HcOption *opt, HcOptionType type, const char *text, char why[HC_WHY]) {
  PetscBool b;
  PetscInt i;
  PetscReal r;
  switch (type) {
  case HC_OPT_BOOL:
    return HcValueBool(text, &b, why);
  case HC_OPT_INT:
    return HcValueInt(text, &i, why) || HcValueInRange((double)i, opt->allowed, why);
  case HC_OPT_REAL:
    return HcValueReal(text, &r, why) || HcValueInRange(r, opt->allowed, why);
  case HC_OPT_DURATION:
    return HcValueDuration(text, &r, why) || HcValueInRange(r, opt->allowed, why);
  case HC_OPT_WORD:
    return HcValueWord(text, opt->allowed, &i, why);
  default:
    return 0;
  }
}

int HcValueCheck(const HcOption *opt, const char *text, char why[HC_WHY]) {
  HcOptionType each;
  switch (opt->type) {
  case HC_OPT_INTS:
    each = HC_OPT_INT;
    break;
  case HC_OPT_REALS:
    each = HC_OPT_REAL;
    break;
  case HC_OPT_WORDS:
    each = HC_OPT_WORD;
    break;
  default:
    return check_one(opt, opt->type, text, why);
  }
  char item[256], reason[HC_WHY];
  const char *rest = text;
  int count = 0;
  do {
    rest = HcValueNext(rest, item, sizeof item);
    ++count;
    if (!*item) {
      snprintf(why, HC_WHY, "item %d of the comma-separated list is empty", count);
      return 1;
    }
    if (check_one(opt, each, item, reason)) {
      if (count == 1 && !*rest)
        snprintf(why, HC_WHY, "%s", reason);
      else
        snprintf(why, HC_WHY, "item %d, '%.60s', %.400s", count, item, reason);
      return 1;
    }
  } while (*rest);
  const size_t length = strlen(text);
  if (length && text[length - 1] == ',') {
    snprintf(why, HC_WHY, "the comma-separated list ends with a comma");
    return 1;
  }
  return 0;
}
