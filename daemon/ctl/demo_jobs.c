/* demo_jobs.c: see demo_jobs.h. No message is random: two demos send the same. */
#include "daemon/ctl/demo_jobs.h"

#include "daemon/base/check.h"
#include "daemon/ctl/demo_provider.h"

void demo_jobs_make(size_t n, struct buf *out)
{
	static const char *const texts[] = { "Your parcel arrives today between 2 and 4 pm.", "Ваш заказ готов к выдаче.",
					     "Hi! Your table for two is booked for 7:30 pm.", "Reminder: dentist tomorrow at 9:15.",
					     "Thank you for your order. We will tell you when it ships." };
	static const char long_text[] =
		"Dear customer, we are moving our shop to a larger place around the corner and will be closed from Monday to Wednesday. "
		"From Thursday on you will find us at number 12, with coffee for everybody who says hello.";
	bool password = n % 10 == 0;

	buf_reset(out);
	buf_printf(out, "{\"id\":\"" DEMO_ID_PREFIX "%06zu\",\"to\":\"+4915%09zu\",\"campaign\":\"%s\",", n, n, password ? "otp" : "news");
	if (password)
		buf_printf(out, "\"on_uncertain\":\"fail\",\"text\":\"Your code is %06zu.\"}", n * 7919 % 1000000);
	else
		buf_printf(out, "\"text\":\"%s\"}", n % 50 == 21 ? long_text : texts[n % ARRAY_LEN(texts)]);
}
