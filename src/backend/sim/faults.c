/* SPDX-License-Identifier: MIT */
/* faults -- mechanism; the contract is in faults.h. */
#include "backend/sim/faults.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum preset { CALM, LOSSY, HOSTILE, SWARM, PRESETS };

static const char *const preset_names[PRESETS] = {"calm", "lossy", "hostile", "swarm"};

enum { DIGITS_MAX = 18, SWARM_STEPS = 8 };

struct setting {
    const char *name;
    size_t at; /* in struct wi_sim_faults */
    bool odds;
    int64_t value[SWARM]; /* odds: in a million */
    int64_t low, high;    /* in a swarm; odds: low is 0 */
    int64_t limit;
};

static const struct setting settings[] = {
#define ODDS(name, calm, lossy, hostile, most, text) \
    {#name, offsetof(struct wi_sim_faults, name), true, {calm, lossy, hostile}, 0, most, 0},
#define AMOUNT(name, unit, calm, lossy, hostile, low, high, limit, text) \
    {#name, offsetof(struct wi_sim_faults, name), false, {calm, lossy, hostile}, low, high, limit},
#include "backend/sim/faults.def"
#undef ODDS
#undef AMOUNT
};

enum { SETTINGS = sizeof settings / sizeof *settings };

static void put(struct wi_sim_faults *faults, const struct setting *setting, uint64_t value)
{
    memcpy((char *)faults + setting->at, &value, sizeof value); /* both kinds are 64 bits */
}

/* A half of the odds are off, so that what only shows without a fault shows too; the others spread
 * over powers of two, since rare and common faults find different bugs. */
static uint64_t draw(const struct setting *setting, struct wi_choices *choices)
{
    if (!setting->odds)
        return (uint64_t)wi_choose_between(choices, WI_SIM_WORLD, setting->low, setting->high);
    uint64_t step = setting->high > 0 ? wi_choose(choices, WI_SIM_WORLD, SWARM_STEPS * 2) : 0;
    return step < SWARM_STEPS ? 0 : WI_ODDS_PPM(setting->high) >> (step - SWARM_STEPS);
}

static void fill(struct wi_sim_faults *out, enum preset preset, struct wi_choices *choices)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *setting = &settings[i];
        if (preset == SWARM)
            put(out, setting, draw(setting, choices));
        else if (setting->odds)
            put(out, setting, WI_ODDS_PPM(setting->value[preset]));
        else
            put(out, setting, (uint64_t)setting->value[preset]);
    }
    if (out->latency_ns_max < out->latency_ns_min)
        out->latency_ns_max = out->latency_ns_min;
    if (out->disk_ns_max < out->disk_ns_min)
        out->disk_ns_max = out->disk_ns_min;
}

int wi_odds_read(wi_odds *out, const char *text, size_t len)
{
    uint64_t whole = 0, part = 0, scale = 1;
    size_t digits = 0, at = 0;
    for (; at < len && text[at] >= '0' && text[at] <= '9'; at++, digits++)
        whole = whole > 1 ? 2 : whole * 10 + (uint64_t)(text[at] - '0');
    if (at < len && text[at] == '.')
        for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++, digits++)
            if (scale < UINT64_C(1000000000000000000)) {
                part = part * 10 + (uint64_t)(text[at] - '0');
                scale *= 10;
            }
    if (at < len || digits == 0 || whole > 1 || (whole == 1 && part > 0))
        return -EINVAL;
    *out = whole == 1 ? WI_ODDS_ALWAYS : (uint64_t)(((unsigned __int128)part << 64) / scale);
    return 0;
}

static int read_amount(const struct setting *setting, const char *text, size_t len, int64_t *out)
{
    int64_t value = 0;
    if (len == 0 || len > DIGITS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return value <= setting->limit ? 0 : -EINVAL;
}

static bool is(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && strncmp(name, text, len) == 0;
}

static int refuse(struct wi_why *why, const char *what, const char *text, size_t len,
                  const char *right)
{
    (void)snprintf(why->text, sizeof why->text, "%s \"%.*s\": %s", what, (int)(len < 64 ? len : 64),
                   text, right);
    return -EINVAL;
}

static int read_setting(struct wi_sim_faults *out, const char *word, size_t len, struct wi_why *why)
{
    size_t name = strcspn(word, "= ");
    const char *value = word + name + 1;
    const struct setting *setting = settings;
    while (setting < settings + SETTINGS && !is(setting->name, word, name))
        setting++;
    if (setting == settings + SETTINGS)
        return refuse(why, "fault", word, name, "there is none of that name");
    if (name >= len)
        return refuse(why, "fault", word, len, "must be followed by = and a value");
    if (setting->odds) {
        wi_odds odds;
        if (wi_odds_read(&odds, value, len - name - 1) < 0)
            return refuse(why, "fault", word, len, "a probability is from 0 to 1");
        put(out, setting, odds);
        return 0;
    }
    int64_t amount;
    if (read_amount(setting, value, len - name - 1, &amount) < 0) {
        char right[64];
        (void)snprintf(right, sizeof right, "must be a whole number up to %lld",
                       (long long)setting->limit);
        return refuse(why, "fault", word, len, right);
    }
    put(out, setting, (uint64_t)amount);
    return 0;
}

static int read_preset(const char *word, size_t len, enum preset *out)
{
    for (int i = 0; i < PRESETS; i++)
        if (is(preset_names[i], word, len)) {
            *out = (enum preset)i;
            return 0;
        }
    return -EINVAL;
}

/* Where only one of a pair was named, the other, which a swarm draws anew in every world, gives way. */
static void give_way(int64_t *low, int64_t *high, int64_t drawn_low, int64_t drawn_high)
{
    if (*high < *low && *high == drawn_high)
        *high = *low;
    else if (*high < *low && *low == drawn_low)
        *low = *high;
}

int wi_sim_faults_read(struct wi_sim_faults *out, const char *text, struct wi_choices *choices,
                       struct wi_why *why)
{
    const char *at = text != NULL ? text + strspn(text, " ") : "";
    size_t len = strcspn(at, " ");
    enum preset preset = CALM;
    if (len > 0 && memchr(at, '=', len) == NULL) {
        if (read_preset(at, len, &preset) < 0)
            return refuse(why, "preset", at, len, "must be calm, lossy, hostile or swarm");
        at += len;
    }
    fill(out, preset, choices);
    const struct wi_sim_faults drawn = *out;
    for (int rc = 0; *(at += strspn(at, " ")) != 0; at += len) {
        len = strcspn(at, " ");
        rc = read_setting(out, at, len, why);
        if (rc < 0)
            return rc;
    }
    if (preset == SWARM) {
        give_way(&out->latency_ns_min, &out->latency_ns_max, drawn.latency_ns_min,
                 drawn.latency_ns_max);
        give_way(&out->disk_ns_min, &out->disk_ns_max, drawn.disk_ns_min, drawn.disk_ns_max);
    }
    if (out->latency_ns_max < out->latency_ns_min)
        return refuse(why, "fault", "latency_ns_max", 14, "is below latency_ns_min");
    if (out->disk_ns_max < out->disk_ns_min)
        return refuse(why, "fault", "disk_ns_max", 11, "is below disk_ns_min");
    return 0;
}

void wi_sim_faults_heal(struct wi_sim_faults *faults)
{
    int64_t skew = faults->skew_ns, drift = faults->drift_ppm;
    fill(faults, CALM, NULL);
    faults->skew_ns = skew;
    faults->drift_ppm = drift;
}
