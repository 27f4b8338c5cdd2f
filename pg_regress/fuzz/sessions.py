def run_concurrent(options):
    return 0
