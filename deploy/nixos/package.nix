# pgguard as a package of Nix. vendorHash is of what go mod vendor makes; make verify says what it must be after a change of what is imported.
{ lib, buildGoModule, version ? "devel", vendorHash ? "sha256-vcxT5X2vnV1oXLv/VXiQ1WefTPfGS8zXS94dWPjYewk=" }:

buildGoModule {
  pname = "pgguard";
  inherit version vendorHash;
  src = lib.cleanSource ../..;
  subPackages = [ "cmd/pgguard" "cmd/pgguard-bench" ];
  env.CGO_ENABLED = 0;
  ldflags = [ "-s" "-w" "-X main.version=${version}" ];
  # The tests start PostgreSQL; the project runs them itself.
  doCheck = false;
  meta = {
    description = "Pooling proxy for PostgreSQL that keeps the database at the load where it does the most work";
    license = lib.licenses.asl20;
    mainProgram = "pgguard";
    platforms = lib.platforms.unix;
  };
}
