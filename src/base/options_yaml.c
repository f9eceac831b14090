/*
 * From the text of an input file to keys and values, with libyaml's events: they carry line and column, so that every
 * mistake can be named where it stands. PetscOptionsInsertFileYAML gives no positions, merges documents, lets the last of
 * two equal keys win and takes `~` for a text.
 */
#include "options_private.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 8, MAX_KEY = 256 };

typedef struct {
  HcOptions opts;
  yaml_parser_t parser;
  char section[MAX_KEY];
  int depth, keys; /* nesting; keys with a value so far */
} Reader;

static PetscErrorCode fail_at(HcOptions opts, yaml_mark_t mark, const char *sentence) {
  return HcFail(HC_EXIT_INPUT, "%s:%d:%d: %s", opts->file, (int)mark.line + 1, (int)mark.column + 1, sentence);
}

/* libyaml's complaint in the user's words. */
static PetscErrorCode parser_failed(Reader *r) {
  const yaml_parser_t *p = &r->parser;
  yaml_mark_t mark = p->problem_mark;
  char sentence[512];
  if (p->error == YAML_READER_ERROR) { /* no mark: count lines up to the offending byte */
    memset(&mark, 0, sizeof mark);
    for (size_t i = 0; i < p->problem_offset && r->opts->text[i]; ++i) {
      if (r->opts->text[i] == '\n')
        mark.line++, mark.column = 0;
      else
        mark.column++;
    }
    snprintf(sentence, sizeof sentence, "not a text file in UTF-8 (%s, byte 0x%02x)", p->problem, (unsigned)p->problem_value);
    return fail_at(r->opts, mark, sentence);
  }
  if (p->error == YAML_MEMORY_ERROR) return HcFail(HC_EXIT_INPUT, "%s: out of memory while reading", r->opts->file);
  const char *line = r->opts->text;
  for (size_t i = 0; i < mark.line && line; ++i) line = (line = strchr(line, '\n')) ? line + 1 : NULL;
  const size_t blank = line ? strspn(line, " \t") : 0;
  if (line && memchr(line, '\t', blank)) {
    mark.column = (size_t)((const char *)memchr(line, '\t', blank) - line);
    return fail_at(r->opts, mark, "a tab in the indentation; YAML allows spaces only");
  }
  snprintf(sentence, sizeof sentence, "malformed YAML: %s%s%s", p->problem ? p->problem : "cannot be read",
    p->context ? ", " : "", p->context ? p->context : "");
  return fail_at(r->opts, mark, sentence);
}

static PetscErrorCode next_event(Reader *r, yaml_event_t *event) {
  PetscFunctionBeginUser;
  if (!yaml_parser_parse(&r->parser, event)) PetscCall(parser_failed(r));
  PetscFunctionReturn(0);
}

/* Anchors, aliases and tags say in a roundabout way what can be written plainly. */
static PetscErrorCode check_plain(Reader *r, const yaml_event_t *e) {
  const yaml_char_t *anchor = NULL, *tag = NULL;
  PetscFunctionBeginUser;
  if (e->type == YAML_ALIAS_EVENT)
    PetscCall(fail_at(r->opts, e->start_mark, "aliases (*name) are not supported; write the value out"));
  if (e->type == YAML_SCALAR_EVENT) anchor = e->data.scalar.anchor, tag = e->data.scalar.tag;
  if (e->type == YAML_MAPPING_START_EVENT) anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag;
  if (e->type == YAML_SEQUENCE_START_EVENT) anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
  if (anchor) PetscCall(fail_at(r->opts, e->start_mark, "anchors (&name) are not supported"));
  if (tag) PetscCall(fail_at(r->opts, e->start_mark, "tags (!name) are not supported"));
  PetscFunctionReturn(0);
}

static PetscErrorCode scalar_text(Reader *r, const yaml_event_t *e, const char *key, const char **text) {
  static const char *const null[] = {"", "~", "null", "Null", "NULL"};
  const char *v = (const char *)e->data.scalar.value;
  char sentence[2 * MAX_KEY + 64];
  PetscBool empty = PETSC_FALSE;
  PetscFunctionBeginUser;
  if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
    for (int i = 0; i < 5; ++i) empty = empty || !strcmp(v, null[i]) ? PETSC_TRUE : PETSC_FALSE;
  }
  if (empty || !v[strspn(v, " \t\r\n")]) {
    snprintf(sentence, sizeof sentence, "%s has no value", key);
    PetscCall(fail_at(r->opts, e->start_mark, sentence));
  }
  if (strlen(v) != e->data.scalar.length) PetscCall(fail_at(r->opts, e->start_mark, "a value holds a zero byte"));
  *text = v;
  PetscFunctionReturn(0);
}

/* [64, 64] is "64,64" */
static PetscErrorCode read_sequence(Reader *r, const char *key, yaml_mark_t start) {
  char list[4096] = "", sentence[2 * MAX_KEY + 64];
  size_t n = 0;
  PetscFunctionBeginUser;
  for (;;) {
    yaml_event_t e;
    const char *text = NULL;
    PetscCall(next_event(r, &e));
    PetscErrorCode err = check_plain(r, &e);
    const yaml_event_type_t type = e.type;
    if (!err && type == YAML_SCALAR_EVENT)
      err = scalar_text(r, &e, key, &text);
    else if (!err && type != YAML_SEQUENCE_END_EVENT) {
      snprintf(sentence, sizeof sentence, "%s: a list may hold plain values only", key);
      err = fail_at(r->opts, e.start_mark, sentence);
    }
    if (text) n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? "," : "", text);
    yaml_event_delete(&e);
    PetscCall(err);
    if (n >= sizeof list) PetscCall(fail_at(r->opts, start, "a list is longer than 4095 characters"));
    if (type == YAML_SEQUENCE_END_EVENT) break;
  }
  if (!n) {
    snprintf(sentence, sizeof sentence, "%s is an empty list", key);
    PetscCall(fail_at(r->opts, start, sentence));
  }
  PetscCall(HcOptionsAddGiven(r->opts, r->section, key, list, HC_FROM_FILE, (int)start.line + 1, (int)start.column + 1));
  PetscFunctionReturn(0);
}

static PetscErrorCode check_key(Reader *r, const yaml_event_t *e) {
  char sentence[128];
  PetscFunctionBeginUser;
  PetscCall(check_plain(r, e));
  if (e->type != YAML_SCALAR_EVENT) PetscCall(fail_at(r->opts, e->start_mark, "a key must be a single word"));
  const char *k = (const char *)e->data.scalar.value;
  PetscBool good = isalpha((unsigned char)*k) ? PETSC_TRUE : PETSC_FALSE;
  for (const char *p = k; *p; ++p) good = good && (isalnum((unsigned char)*p) || *p == '_') ? PETSC_TRUE : PETSC_FALSE;
  if (!good || strlen(k) != e->data.scalar.length || strlen(k) + strlen(r->section) + 2 > MAX_KEY) {
    snprintf(sentence, sizeof sentence, "'%.60s' is not a key (letters, digits and _)", k);
    PetscCall(fail_at(r->opts, e->start_mark, sentence));
  }
  PetscFunctionReturn(0);
}

static PetscErrorCode read_mapping(Reader *r, yaml_mark_t start) {
  PetscFunctionBeginUser;
  if (++r->depth > MAX_DEPTH) PetscCall(fail_at(r->opts, start, "sections are nested too deeply"));
  for (;;) {
    yaml_event_t e;
    char key[2 * MAX_KEY], above[MAX_KEY];
    const char *text;
    PetscCall(next_event(r, &e));
    if (e.type == YAML_MAPPING_END_EVENT) {
      yaml_event_delete(&e);
      break;
    }
    PetscErrorCode err = check_key(r, &e);
    const yaml_mark_t at = e.start_mark;
    if (!err) snprintf(key, sizeof key, "%s%s%s", r->section, r->section[0] ? "_" : "", (const char *)e.data.scalar.value);
    yaml_event_delete(&e);
    PetscCall(err);

    PetscCall(next_event(r, &e));
    err = check_plain(r, &e);
    if (e.type != YAML_MAPPING_START_EVENT) ++r->keys;
    const yaml_mark_t mark = e.start_mark;
    const yaml_event_type_t type = e.type;
    if (!err && type == YAML_SCALAR_EVENT) {
      err = scalar_text(r, &e, key, &text);
      if (!err) err = HcOptionsAddGiven(r->opts, r->section, key, text, HC_FROM_FILE, (int)mark.line + 1, (int)mark.column + 1);
    }
    yaml_event_delete(&e);
    PetscCall(err);
    if (type == YAML_SEQUENCE_START_EVENT) PetscCall(read_sequence(r, key, mark));
    if (type == YAML_MAPPING_START_EVENT) {
      const int before = r->keys;
      memcpy(above, r->section, sizeof above);
      snprintf(r->section, sizeof r->section, "%.*s", MAX_KEY - 1, key);
      PetscCall(read_mapping(r, mark));
      memcpy(r->section, above, sizeof above);
      if (r->keys == before) {
        char sentence[2 * MAX_KEY + 32];
        snprintf(sentence, sizeof sentence, "section %s is empty", key);
        PetscCall(fail_at(r->opts, at, sentence));
      }
    }
  }
  --r->depth;
  PetscFunctionReturn(0);
}

static PetscErrorCode read_stream(Reader *r) {
  yaml_event_t e;
  yaml_event_type_t type;
  yaml_mark_t mark;
  PetscBool seen = PETSC_FALSE;
  PetscFunctionBeginUser;
  do {
    PetscCall(next_event(r, &e));
    type = e.type;
    mark = e.start_mark;
    PetscErrorCode err = 0;
    if (type == YAML_DOCUMENT_START_EVENT && seen) err = fail_at(r->opts, mark, "a second document; an input file holds one");
    if (type == YAML_SEQUENCE_START_EVENT) err = fail_at(r->opts, mark, "a list where 'key: value' lines are expected");
    if (!err && type != YAML_STREAM_START_EVENT) err = check_plain(r, &e);
    if (!err && type == YAML_SCALAR_EVENT) {
      if (e.data.scalar.length && strcmp((const char *)e.data.scalar.value, "~") &&
          strcmp((const char *)e.data.scalar.value, "null"))
        err = fail_at(r->opts, mark, "plain text where 'key: value' lines are expected");
    }
    yaml_event_delete(&e);
    PetscCall(err);
    if (type == YAML_MAPPING_START_EVENT) PetscCall(read_mapping(r, mark));
    if (type == YAML_DOCUMENT_END_EVENT) seen = PETSC_TRUE;
  } while (type != YAML_STREAM_END_EVENT);
  if (!r->keys) PetscCall(HcFail(HC_EXIT_INPUT, "%s: the file is empty (no 'key: value' line)", r->opts->file));
  PetscFunctionReturn(0);
}

PetscErrorCode HcOptionsParseYaml(HcOptions opts) {
  Reader r = {.opts = opts};
  PetscFunctionBeginUser;
  if (!yaml_parser_initialize(&r.parser)) PetscCall(HcFail(HC_EXIT_INPUT, "%s: out of memory while reading", opts->file));
  yaml_parser_set_input_string(&r.parser, (const unsigned char *)opts->text, strlen(opts->text));
  const PetscErrorCode err = read_stream(&r);
  yaml_parser_delete(&r.parser);
  PetscCall(err);
  PetscFunctionReturn(0);
}
