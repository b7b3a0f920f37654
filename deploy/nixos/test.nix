# A test in virtual machines: the guard before a PostgreSQL of another machine, and a restart that nobody notices.
#
#   nix-build deploy/nixos/test.nix
{ pkgs ? import <nixpkgs> { } }:

pkgs.testers.nixosTest {
  name = "pgguard";

  nodes.db = {
    networking.firewall.allowedTCPPorts = [ 5432 ];
    services.postgresql = {
      enable = true;
      enableTCPIP = true;
      authentication = "host all all all trust";
      ensureDatabases = [ "app" ];
      ensureUsers = [{ name = "app"; ensureDBOwnership = true; }];
    };
  };

  nodes.app = { pkgs, ... }: {
    imports = [ ./module.nix ];
    environment.systemPackages = [ pkgs.postgresql ];
    services.pgguard.enable = true;
    systemd.services.pgguard.environment.PGGUARD_UPSTREAM = "postgres://app@db:5432/app";
  };

  testScript = ''
    start_all()
    db.wait_for_unit("postgresql.service")
    app.wait_for_unit("pgguard.service")
    app.succeed("pgguard ready --wait 60s")
    query = "psql -At postgres://app@127.0.0.1:6432/app -c 'select 6 * 7'"
    assert "42" in app.succeed(query)

    # Who comes while it restarts waits, and is served.
    app.succeed("for i in $(seq 200); do " + query + " >>/tmp/answers 2>&1 || echo failed >>/tmp/answers; done & echo $! >/tmp/pid")
    app.succeed("systemctl restart pgguard.service")
    app.wait_until_succeeds("! kill -0 $(cat /tmp/pid)")
    app.succeed("test $(grep -c '^42$' /tmp/answers) -eq 200")

    # The database goes: alive, not ready; and back.
    db.stop_job("postgresql")
    app.wait_until_fails("pgguard ready")
    app.succeed("pgguard ready --alive")
    db.start_job("postgresql")
    app.wait_until_succeeds("pgguard ready")
  '';
}
