/* commands.h: what each command of smstrack runs; the table in main.c names them. Each returns an enum ctl_exit. */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "daemon/ctl/call.h"
#include "daemon/ctl/cli.h"

/* state.c */
int cmd_state_status(struct cli *cli);
int cmd_state_pause(struct cli *cli);
int cmd_state_resume(struct cli *cli);
int cmd_state_drain(struct cli *cli);

/* live.c */
int cmd_live_tasks(struct cli *cli);
int cmd_live_providers(struct cli *cli);
int cmd_live_partitions(struct cli *cli);

/* message.c */
int cmd_message_send(struct cli *cli);
int cmd_message_show(struct cli *cli);

/* settings.c */
int cmd_settings_reload(struct cli *cli);
int cmd_settings_reopen_logs(struct cli *cli);
int cmd_settings_set(struct cli *cli);
int cmd_settings_store(struct cli *cli);
int cmd_settings_check(struct cli *cli);

/* demo.c */
int demo_command(struct cli *cli);

#endif
